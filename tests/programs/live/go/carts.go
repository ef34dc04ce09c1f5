// Keeps the carts of visitors until they leave; five in a hundred leave without paying.
// leaky: the cart of who does not pay stays in the map.
package main

import (
	"strconv"
)

type item struct {
	name string
	note [1000]byte
}

type cart struct{ items []*item }

//go:noinline
func fillCart(visitor int) *cart {
	filled := &cart{}
	for i := 0; i < 40; i++ {
		filled.items = append(filled.items, &item{name: "item " + strconv.Itoa(visitor+i)})
	}
	return filled
}

//go:noinline
func visit(carts map[int]*cart, visitor int, fixed bool) int {
	carts[visitor] = fillCart(visitor)
	if visitor%20 == 0 {
		if fixed {
			delete(carts, visitor)
		}
		return 0
	}
	paid := len(carts[visitor].items)
	delete(carts, visitor)
	return paid
}

func main() {
	load := fromCommandLine()
	carts := map[int]*cart{}
	load.serve(func(i int) {
		visit(carts, i, load.fixed)
	})
}
