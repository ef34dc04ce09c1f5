// Thumbnails that are kept for good in the leaky form; the fixed one keeps the newest. Nothing in it reads profiles, so the
// linker switches the heap profile off.
package main

import (
	"os"
	"time"
)

var thumbnails = map[int][]byte{}

//go:noinline
func keepThumbnail(id int) {
	picture := make([]byte, 60<<10)
	for i := range picture {
		picture[i] = byte(id)
	}
	thumbnails[id] = picture
}

//go:noinline
func decode() int {
	pixels := make([]byte, 100<<10)
	return len(pixels)
}

func main() {
	leaky := os.Args[1] == "leaky"
	stop := time.Now().Add(20 * time.Minute)
	for id := 0; time.Now().Before(stop); id++ {
		keepThumbnail(id)
		if !leaky {
			delete(thumbnails, id-50)
		}
		decode()
		time.Sleep(40 * time.Millisecond)
	}
}
