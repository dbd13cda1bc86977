// What conversions, assertions and names of packages are asked of: it fails where all of it is alive.
package main

import (
	crand "crypto/rand"
	"errors"
	"fmt"
	mrand "math/rand"
	"runtime"
	"strconv"
	"time"
	"unsafe"
)

type Level int

const (
	Low Level = iota
	High
)

type Base struct {
	ID   int
	Name string
}

func (b *Base) Describe() string { return b.Name }

type Mid struct {
	*Base
	Extra int
}
type Top struct {
	Mid
	Title string
}
type Shape interface{ Area() float64 }
type Circle struct{ Radius float64 }
type Square struct{ Side int }

func (c *Circle) Area() float64 { return c.Radius * 3 }
func (s Square) Area() float64  { return float64(s.Side * s.Side) }

type NotFound struct{ Key string }

func (n *NotFound) Error() string { return "not found: " + n.Key }

type Pair[K comparable, V any] struct {
	First  K
	Second V
}

var total int64 = 99
var global = map[string][]int{"a": {1, 2}, "b": nil}

func worker(n int, ch chan int, done chan bool) {
	local := n * 10
	text := "worker " + strconv.Itoa(n)
	v := <-ch
	fmt.Println(local, text, v)
	done <- true
}

//go:noinline
func handle(top Top, shape Shape, err error) {
	x := 3
	text := "t"
	var e interface{} = x
	var es interface{} = "text"
	var none error
	var nilmap map[string]int
	var nilslice []int
	var nilptr *Top
	var nilchan chan int
	var nilfunc func()
	ch := make(chan int, 4)
	ch <- 1
	ch <- 2
	sq := Shape(Square{4})
	p := &top
	addr := uintptr(unsafe.Pointer(&x))
	up := unsafe.Pointer(&x)
	pair := Pair[string, int]{"k", 5}
	lvl := High
	arr := [3]int{7, 8, 9}
	sl := arr[1:]
	b := []byte("bytes")
	f := func() int { return x }
	d := 1500 * time.Millisecond
	now := time.Unix(1, 0)
	fmt.Println(p.ID, addr, up, pair, lvl, sl, b, f(), d, now, e, es, none, len(nilmap), nilslice, nilptr == nil, nilchan, nilfunc == nil, len(ch), sq.Area(), shape.Area(), err)
	runtime.GC()
	crand.Read(b[:0])
	mrand.Read(b[:0])
	fmt.Println(p.Describe())
	nilptr.Title = text
	fmt.Println(shape, err, sq, up, addr, none, global)
	fmt.Println(p, e, es, none, nilmap, nilslice, nilptr, nilchan, ch, sq, addr, up, pair, lvl, arr, sl, b, f, d, now)
}

func main() {
	ch := make(chan int)
	done := make(chan bool)
	for i := 0; i < 3; i++ {
		go worker(i, ch, done)
	}
	time.Sleep(50 * time.Millisecond)
	handle(Top{Mid{&Base{5, "base"}, 6}, "title"}, &Circle{2.5}, fmt.Errorf("wrap: %w", &NotFound{"key"}))
	_ = errors.New
	_ = global
	fmt.Println(total, global)
}
