// Arguments in registers and on the stack, stopped where they are passed: tests compare each with delve on the same core.
package main

import (
	"errors"
	"fmt"
	"os"
)

type Pair struct {
	First  string
	Second int32
}

type Number interface{ ~int | ~float64 }

type Stack[T any] struct {
	items []T
	top   *T
}

var sink int

//go:noinline
func (s *Stack[T]) Push(item T) int {
	s.items = append(s.items, item)
	s.top = &s.items[len(s.items)-1]
	return probe(len(s.items), "pushed")
}

//go:noinline
func sum[T Number](values map[string]T, start T) T {
	for _, value := range values {
		start += value
	}
	probe(len(values), "summed")
	return start
}

//go:noinline
func probe(n int, what string) int {
	sink += n + len(what)
	return sink
}

//go:noinline
func many(a int, b string, c []int, d float64, e interface{}, f map[string]int, g bool, h Pair, i error) (n int, err error) {
	sink += a + len(b) + len(c)
	if g {
		sink += f["one"] + int(d)
	}
	n = sink + probe(len(h.First), b)
	if e != nil {
		err = i
	}
	return n, err
}

//go:noinline
func spilled(a, b, c, d, e, f, g, h, i, j, k, l int, m [3]int, n complex128, o func(int) int, p chan string) int {
	sink += a + l + m[1] + int(real(n))
	return o(sink) + len(p) + b + c + d + e + f + g + h + i + j + k
}

func main() {
	p := make(chan string, 2)
	p <- "x"
	step := len(os.Args)
	n, err := many(7, "text", []int{1, 2, 3}, 2.5, Pair{"in", 5}, map[string]int{"one": 1}, true, Pair{"pair", -9}, errors.New("failed"))
	n += spilled(1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, [3]int{21, 22, 23}, complex(1, -2), func(i int) int { return i + step }, p)
	var words Stack[string]
	n += words.Push("first")
	total := sum(map[string]float64{"a": 1.5, "b": 2.5}, 1)
	fmt.Println(n, err, total)
}
