// usage: PROGRAM leaky|fixed SECONDS RATE: a steady load of RATE requests a second, and the end after SECONDS.
package main

import (
	"os"
	"strconv"
	"time"
)

type steady struct {
	fixed         bool
	seconds, rate int
}

func number(text string) int {
	value, err := strconv.Atoi(text)
	if err != nil {
		panic(err)
	}
	return value
}

func fromCommandLine() steady {
	if len(os.Args) != 4 {
		os.Stderr.WriteString("usage: " + os.Args[0] + " leaky|fixed SECONDS RATE\n")
		os.Exit(2)
	}
	return steady{os.Args[1] == "fixed", number(os.Args[2]), number(os.Args[3])}
}

// Serves one request after the other, each when its turn comes.
func (s steady) serve(request func(number int)) {
	ticker := time.NewTicker(time.Second / time.Duration(s.rate))
	for i := 0; i < s.seconds*s.rate; i++ {
		request(i)
		<-ticker.C
	}
}
