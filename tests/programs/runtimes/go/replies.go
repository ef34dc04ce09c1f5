// Requests whose reply is waited for in a goroutine. In the leaky form some replies never come, and whoever waits for one
// keeps its request.
package main

import (
	"bytes"
	"os"
	"time"
)

type request struct {
	body  []byte
	reply chan int
}

//go:noinline
func waitForReply(r *request) int {
	return <-r.reply + len(r.body)
}

//go:noinline
func askUpstream(answers bool) {
	r := &request{body: bytes.Repeat([]byte("x"), 20<<10), reply: make(chan int)}
	go waitForReply(r)
	if answers {
		r.reply <- 200
	}
}

//go:noinline
func renderPage() int {
	page := make([]byte, 20<<10)
	return len(page)
}

func main() {
	leaky := os.Args[1] == "leaky"
	stop := time.Now().Add(20 * time.Minute)
	for time.Now().Before(stop) {
		askUpstream(!leaky)
		for i := 0; i < 10; i++ {
			renderPage()
		}
		time.Sleep(20 * time.Millisecond)
	}
}
