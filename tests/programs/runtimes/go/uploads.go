// Uploads whose log is opened for each and, in the leaky form, never closed.
package main

import (
	"os"
	"time"
)

// Without a reference the collector would close what is leaked.
var kept []*os.File

//go:noinline
func recordUpload(leaky bool) {
	log, err := os.Open("/dev/null")
	if err != nil {
		panic(err)
	}
	if leaky {
		kept = append(kept, log)
	} else {
		log.Close()
	}
}

//go:noinline
func readTemplate() {
	if template, err := os.Open("/dev/zero"); err == nil {
		template.Close()
	}
}

func main() {
	leaky := os.Args[1] == "leaky"
	stop := time.Now().Add(20 * time.Minute)
	for time.Now().Before(stop) {
		recordUpload(leaky)
		for i := 0; i < 5; i++ {
			readTemplate()
		}
		time.Sleep(100 * time.Millisecond)
	}
}
