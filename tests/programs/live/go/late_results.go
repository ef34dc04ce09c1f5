// A goroutine computes each report; four in a hundred come too late and nobody receives them.
// leaky: the channel has no room, so the goroutine of a late one blocks for ever and keeps its report.
package main

const report = 64 << 10

//go:noinline
func buildReport(request int) []byte {
	pages := make([]byte, report)
	for i := range pages {
		pages[i] = byte(request)
	}
	return pages
}

//go:noinline
func serveReport(request, room int) int {
	result := make(chan []byte, room)
	late := request%25 == 0
	go func() {
		result <- buildReport(request)
	}()
	if late {
		return 0
	}
	return len(<-result)
}

func main() {
	load := fromCommandLine()
	room := 0
	if load.fixed {
		room = 1
	}
	load.serve(func(i int) {
		serveReport(i, room)
	})
}
