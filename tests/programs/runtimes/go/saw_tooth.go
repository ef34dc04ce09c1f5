// Makes garbage beside a hundred megabytes that it keeps from the start: its heap goes up to twice that, and is collected, and
// goes up again. Nothing leaks.
package main

import "time"

type page struct {
	text []byte
}

//go:noinline
func load() *page {
	p := &page{text: make([]byte, 100<<10)}
	for i := range p.text {
		p.text[i] = byte(i)
	}
	return p
}

//go:noinline
func render(p *page) int {
	copied := make([]byte, len(p.text))
	return copy(copied, p.text)
}

func main() {
	var site [1024]*page
	for i := range site {
		site[i] = load()
	}
	stop := time.Now().Add(20 * time.Minute)
	for n := 0; time.Now().Before(stop); n++ {
		for i := 0; i < 2; i++ {
			render(site[(n+i)%len(site)])
		}
		time.Sleep(100 * time.Millisecond)
	}
}
