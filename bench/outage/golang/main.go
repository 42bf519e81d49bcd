// The same as client.mjs for fluent-logger-golang.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/fluent/fluent-logger-golang/fluent"
)

func main() {
	port := number(2)
	records := number(3)
	// Records a second; 0 for all at once.
	pace := number(4)
	// Async is its mode that does not block the application while the receiver is away.
	config := fluent.Config{FluentHost: "127.0.0.1", FluentPort: port, Async: true, RequestAck: os.Args[1] == "acks"}
	logger, err := fluent.New(config)
	if err != nil {
		panic(err)
	}
	fmt.Println("started")
	reported := []int{}
	start := time.Now()
	for n := 0; n < records; n++ {
		if pace > 0 {
			time.Sleep(time.Until(start.Add(time.Duration(n) * time.Second / time.Duration(pace))))
		}
		if logger.Post("bench", record(n)) != nil {
			reported = append(reported, n)
		}
	}
	if os.Args[6] == "exit" {
		json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"reported": reported, "isFinished": false})
		os.Exit(0)
	}
	logger.Close()
	json.NewEncoder(os.Stdout).Encode(map[string]interface{}{"reported": reported, "isFinished": true})
}

func record(n int) map[string]interface{} {
	return map[string]interface{}{
		"message":       fmt.Sprintf("record %d", n),
		"severity_text": "INFO",
		"attributes":    map[string]interface{}{"http.route": "/api/orders", "http.response.status_code": 200},
	}
}

func number(argument int) int {
	value, err := strconv.Atoi(os.Args[argument])
	if err != nil {
		panic(err)
	}
	return value
}
