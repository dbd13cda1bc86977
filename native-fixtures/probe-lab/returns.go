// Functions of goroutines whose stacks move and that change threads, and what they return as the program itself sees it. A line of input is how many
// rounds eight goroutines run, new ones each time; the answer is calls, sums and nanoseconds inside and around, as returns.c has them.
package main

import (
	"errors"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
	"time"
)

type total struct{ calls, sum, inside, outside int64 }

var deepTotal, lookupTotal, labelTotal, factorTotal total

func (t *total) add(value, inside, outside int64) {
	atomic.AddInt64(&t.calls, 1)
	atomic.AddInt64(&t.sum, value)
	atomic.AddInt64(&t.inside, inside)
	atomic.AddInt64(&t.outside, outside)
}

type order struct {
	id   int64
	name string
}

var errNone = errors.New("no such order")
var started = time.Now()

func now() int64 { return int64(time.Since(started)) }

// Every call takes half a kilobyte of stack: the stack of a new goroutine moves while hundreds of them go on.
//
//go:noinline
func deep(n int64) int64 {
	begin := now()
	var room [64]int64
	room[n%64] = n
	if n == 0 {
		time.Sleep(100 * time.Microsecond)
		deepTotal.add(0, now()-begin, 0)
		return 0
	}
	sum := deep(n-1) + room[n%64]
	deepTotal.add(sum, now()-begin, 0)
	return sum
}

//go:noinline
func lookup(id int64) (*order, error) {
	if id%3 == 0 {
		return nil, errNone
	}
	time.Sleep(50 * time.Microsecond)
	return &order{id, fmt.Sprint("order ", id)}, nil
}

//go:noinline
func label(o *order) string {
	if o == nil {
		return "none"
	}
	return o.name
}

//go:noinline
func factor(n int64) (small, large int64) {
	if n%2 == 0 {
		return n, n * 1000
	}
	return -n, n * 2000
}

func check(right bool) {
	if !right {
		os.Exit(3)
	}
}

func round(n int64) {
	begin := now()
	check(deep(100) == 5050)
	atomic.AddInt64(&deepTotal.outside, now()-begin)
	begin = now()
	found, err := lookup(n)
	lookupTotal.add(0, 0, now()-begin)
	check((err == nil) == (n%3 != 0))
	check(found == nil || found.id == n)
	begin = now()
	text := label(found)
	labelTotal.add(int64(len(text)), 0, now()-begin)
	begin = now()
	small, large := factor(n)
	factorTotal.add(large, 0, now()-begin)
	check(small == n || small == -n)
}

func main() {
	fmt.Println("ready")
	var rounds int64
	for {
		if count, _ := fmt.Scan(&rounds); count != 1 {
			return
		}
		for n := int64(1); n <= rounds; n++ {
			var all sync.WaitGroup
			for worker := 0; worker < 8; worker++ {
				all.Add(1)
				go func() {
					round(n)
					all.Done()
				}()
			}
			all.Wait()
		}
		fmt.Print("{")
		for i, each := range []struct {
			name string
			*total
		}{{"deep", &deepTotal}, {"lookup", &lookupTotal}, {"label", &labelTotal}, {"factor", &factorTotal}} {
			if i > 0 {
				fmt.Print(",")
			}
			fmt.Printf("%q:[%d,%d,%d,%d]", "main."+each.name, each.calls, each.sum, each.inside, each.outside)
		}
		fmt.Println("}")
	}
}
