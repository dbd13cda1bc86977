// A service as Go programs are: requests with strings, slices, maps, interfaces and errors. Each request goes through handle.
package main

import (
	"errors"
	"fmt"
	"time"
)

type Customer struct {
	Name string
	Tier int
}

type Item struct {
	ID    int
	SKU   string
	Price float64
}

type Shape interface {
	Area() float64
}

type Circle struct {
	Radius float64
}

func (c Circle) Area() float64 { return c.Radius * c.Radius * 3 }

type NotFound struct {
	Key string
}

func (e *NotFound) Error() string { return "not found: " + e.Key }

type Request struct {
	ID       int
	Name     string
	Items    []Item
	Stock    map[string]int
	Customer *Customer
	Shape    Shape
	Err      error
	Any      interface{}
	Tags     [2]string
	Queue    chan int
}

var handled int

//go:noinline
func (r *Request) handle(attempt int) int {
	total := attempt
	for _, item := range r.Items {
		total += int(item.Price)
	}
	total += len(r.Stock)
	handled = total // PROBE: handle
	return total
}

func main() {
	for round := 0; ; round++ {
		request := &Request{ID: round, Name: "abc", Customer: &Customer{"Ada Lovelace", 2}, Shape: Circle{2}, Any: round}
		if round%3 != 0 {
			request.Name = fmt.Sprintf("request number %d", round)
			request.Err = &NotFound{"key"}
		} else if round%2 == 0 {
			request.Err = errors.New("failed")
		}
		request.Items = append(request.Items, Item{1, "apple", 1.5}, Item{2, "a very long stock keeping unit", 20.25})
		request.Stock = map[string]int{"apple": 3, "pear": 5}
		request.Tags = [2]string{"new", "fast"}
		request.Queue = make(chan int, 4)
		request.Queue <- 7
		request.handle(round & 3)
		time.Sleep(2 * time.Millisecond)
	}
}
