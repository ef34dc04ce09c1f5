// Grower: the heap swings between 40 and 160 MiB, as the collector runs late (GOGC=300). The rate is requests a second.
package main

import (
	"runtime/debug"
)

const (
	held = 640
	page = 64 << 10
)

//go:noinline
func renderPage(request int) []byte {
	rendered := make([]byte, page)
	for i := range rendered {
		rendered[i] = byte(request)
	}
	return rendered
}

func main() {
	load := fromCommandLine()
	debug.SetGCPercent(300)
	recent := make([][]byte, held)
	load.serve(func(i int) {
		recent[i%held] = renderPage(i)
	})
}
