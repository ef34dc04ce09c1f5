// Sessions that are kept for good in the leaky form; the fixed one forgets old ones. It serves profiles, as many do.
package main

import (
	"net/http"
	_ "net/http/pprof"
	"os"
	"time"
)

type session struct {
	user string
	data []byte
}

type store map[int]*session

//go:noinline
func (s store) remember(id int) {
	s[id] = &session{user: "somebody", data: make([]byte, 60<<10)}
}

//go:noinline
func renderPage() int {
	page := make([]byte, 200<<10)
	return len(page)
}

func main() {
	leaky := os.Args[1] == "leaky"
	go http.ListenAndServe("127.0.0.1:0", nil)
	sessions := store{}
	stop := time.Now().Add(20 * time.Minute)
	for id := 0; time.Now().Before(stop); id++ {
		sessions.remember(id)
		if !leaky {
			delete(sessions, id-50)
		}
		renderPage()
		time.Sleep(40 * time.Millisecond)
	}
}
