// Values of all kinds of Go, held at one line: tests compare each with delve on the same core.
package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

type Point struct{ X, Y int }

type Celsius float64

type Color uint8

type Shape interface {
	Area() float64
}

type Circle struct{ Radius float64 }

func (c Circle) Area() float64 { return 3 * c.Radius * c.Radius }

type Square struct{ Side float64 }

func (s *Square) Area() float64 { return s.Side * s.Side }

type Big struct {
	Words [20]int64
}

type Node struct {
	Name string
	Next *Node
	Tags map[string][]int
}

type Embedded struct {
	Point
	*Node
	Label string
}

type Problem struct {
	Code int
	Err  error
}

func (p *Problem) Error() string { return fmt.Sprint(p.Code, p.Err) }
func (p *Problem) Unwrap() error { return p.Err }

type Handler func(int) int

type Server struct {
	mu      sync.Mutex
	name    string
	routes  map[string]Handler
	queue   chan Point
	clients []*Node
}

var global = map[string]int{"one": 1, "two": 2, "three": 3}

//go:noinline
func use(values ...interface{}) {
	for _, each := range values {
		runtime.KeepAlive(each)
	}
}

//go:noinline
func crash() {
	if os.Getenv("WAIT") != "" {
		fmt.Println("ready")
		time.Sleep(time.Hour)
	}
	var p *int
	*p = 1
}

func grown(n int) map[int]string {
	m := map[int]string{}
	for i := 0; i < n; i++ {
		m[i] = fmt.Sprint("v", i)
	}
	return m
}

// Adds until the map has old buckets: it is growing while the program stops.
func growing() map[int]int {
	m := map[int]int{}
	for i := 0; i < 13*64+1; i++ {
		m[i] = i * i
	}
	return m
}

//go:noinline
func scalars() {
	var (
		aBool                    = true
		anInt                    = -5
		anInt8         int8      = -128
		anInt16        int16     = -32768
		anInt32        rune      = 'é'
		anInt64        int64     = -1 << 63
		aUint          uint      = 1<<64 - 1
		aByte          byte      = 'a'
		aUint16        uint16    = 65535
		aUint32        uint32    = 1<<32 - 1
		aUintptr       uintptr   = 0xdeadbeef
		aFloat32       float32   = 0.1
		aFloat64                 = 1e300
		aComplex64     complex64 = complex(1.5, -2.5)
		aComplex128              = complex(0.1, 1e100)
		aPointer                 = unsafe.Pointer(&global)
		aNilPointer    unsafe.Pointer
		temperature    Celsius = 36.6
		color          Color   = 3
		aNilIntPointer *int
	)
	local := 42
	pointer := &local
	pointerPointer := &pointer
	defer use(aBool, anInt, anInt8, anInt16, anInt32, anInt64, aUint, aByte, aUint16, aUint32, aUintptr, aFloat32, aFloat64, aComplex64, aComplex128, aPointer, aNilPointer, temperature, color, aNilIntPointer, local, pointer, pointerPointer)
	strs()
	runtime.KeepAlive(pointerPointer)
}

//go:noinline
func strs() {
	empty := ""
	short := "hello"
	unicode := "grüße, 世界"
	long := strings.Repeat("0123456789", 300)
	withNul := "a\x00b"
	invalid := "\xff\xfe"
	bytes := []byte("bytes\n")
	runes := []rune("runé")
	ints := []int{1, 2, 3}
	var nilSlice []int
	emptySlice := []int{}
	spare := make([]string, 2, 10)
	spare[0] = "x"
	part := ints[1:2]
	nested := [][]int{{1}, nil, {2, 3}}
	structs := []Point{{1, 2}, {3, 4}}
	pointers := []*Point{{5, 6}, nil}
	hugeSlice := make([]int, 100000)
	hugeSlice[99999] = 7
	array := [3]string{"a", "b", "c"}
	emptyArray := [0]int{}
	matrix := [2][2]int{{1, 2}, {3, 4}}
	empties := []struct{}{{}, {}}
	defer use(empty, short, unicode, long, withNul, invalid, bytes, runes, ints, nilSlice, emptySlice, spare, part, nested, structs, pointers, hugeSlice, array, emptyArray, matrix, empties)
	maps()
	runtime.KeepAlive(empty)
}

//go:noinline
func maps() {
	var nilMap map[string]int
	emptyMap := map[string]int{}
	one := map[string]int{"a": 1}
	eight := map[int]int{0: 0, 1: 1, 2: 4, 3: 9, 4: 16, 5: 25, 6: 36, 7: 49}
	hundred := grown(100)
	huge := grown(10000)
	grow := growing()
	deleted := grown(50)
	for i := 0; i < 40; i++ {
		delete(deleted, i)
	}
	structKeys := map[Point]Point{{1, 2}: {3, 4}}
	interfaceKeys := map[interface{}]interface{}{1: "one", "two": 2, Point{1, 2}: nil}
	bigValues := map[string]Big{"big": {Words: [20]int64{1, 2, 3}}}
	bigKeys := map[Big]string{{Words: [20]int64{9}}: "nine"}
	sets := map[string]struct{}{"a": {}}
	nestedMap := map[string]map[string][]string{"x": {"y": {"z"}}}
	boolKeys := map[bool]string{true: "yes", false: "no"}
	floatKeys := map[float64]int{1.5: 1}
	pointerMap := map[*Point]*Point{{1, 1}: {2, 2}}
	smallMap := map[int8]bool{1: true}
	defer use(nilMap, emptyMap, one, eight, hundred, huge, grow, deleted, structKeys, interfaceKeys, bigValues, bigKeys, sets, nestedMap, boolKeys, floatKeys, pointerMap, smallMap)
	interfaces()
	runtime.KeepAlive(nilMap)
}

//go:noinline
func interfaces() {
	var nilAny interface{}
	var nilShape Shape
	var nilError error
	var anyInt interface{} = 5
	var anyString interface{} = "text"
	var anyPoint interface{} = Point{1, 2}
	var anyPointer interface{} = &Point{3, 4}
	var anySlice interface{} = []int{1, 2}
	var anyMap interface{} = map[string]int{"k": 1}
	var anyFunc interface{} = func(i int) int { return i }
	var anyNilPointer interface{} = (*Point)(nil)
	var circle Shape = Circle{2}
	var square Shape = &Square{3}
	var anyError = errors.New("went wrong")
	var wrapped error = fmt.Errorf("outer: %w", anyError)
	var problem error = &Problem{7, wrapped}
	var anyBool interface{} = true
	var anyByte interface{} = byte(200)
	var anyTime interface{} = time.Unix(1700000000, 5).UTC()
	shapes := []Shape{circle, nil, square}
	defer use(nilAny, nilShape, nilError, anyInt, anyString, anyPoint, anyPointer, anySlice, anyMap, anyFunc, anyNilPointer, circle, square, anyError, wrapped, problem, anyBool, anyByte, anyTime, shapes)
	channels()
	runtime.KeepAlive(nilAny)
}

//go:noinline
func channels() {
	var nilChannel chan int
	unbuffered := make(chan int)
	buffered := make(chan string, 4)
	buffered <- "drop"
	buffered <- "a"
	buffered <- "b"
	<-buffered
	full := make(chan Point, 2)
	full <- Point{1, 2}
	full <- Point{3, 4}
	wrappedAround := make(chan int, 3)
	for i := 0; i < 5; i++ {
		wrappedAround <- i
		if i > 1 {
			<-wrappedAround
		}
	}
	closed := make(chan int, 2)
	closed <- 9
	close(closed)
	var receiveOnly <-chan string = buffered
	signals := make(chan struct{}, 3)
	signals <- struct{}{}
	defer use(nilChannel, unbuffered, buffered, full, wrappedAround, closed, receiveOnly, signals)
	functions(1, 2)
	runtime.KeepAlive(nilChannel)
}

//go:noinline
func functions(x, y int) (named string, err error) {
	var nilFunc func()
	plain := crash
	count := 10
	step := 3
	closure := func(n int) int { count += n * step; return count }
	method := (&Square{4}).Area
	methodExpression := (*Square).Area
	var handler Handler = closure
	server := &Server{name: "srv", routes: map[string]Handler{"/": closure}, queue: make(chan Point, 1), clients: []*Node{{Name: "n"}}}
	node := Node{Name: "first", Next: &Node{Name: "second"}, Tags: map[string][]int{"t": {1}}}
	embedded := Embedded{Point{7, 8}, &node, "label"}
	anonymous := struct {
		A int
		B string
	}{1, "b"}
	when := time.Unix(1700000000, 123456789).UTC()
	now := time.Now()
	duration := 90 * time.Second
	named = "result"
	escaped := Point{11, 12}
	go func() { escaped.X++ }()
	defer use(nilFunc, plain, closure, method, methodExpression, handler, server, node, embedded, anonymous, when, now, duration, count, step)
	server.handle("/x", 5)
	runtime.KeepAlive(&escaped)
	return
}

func (s *Server) handle(path string, n int) string {
	s.mu.Lock()
	value := func(inner int) int {
		crash()
		return inner + n + len(path)
	}(n)
	s.mu.Unlock()
	return fmt.Sprint(value)
}

func worker(id int, jobs <-chan int, group *sync.WaitGroup) {
	defer group.Done()
	for job := range jobs {
		use(job + id)
	}
}

func main() {
	jobs := make(chan int)
	var group sync.WaitGroup
	group.Add(3)
	for i := 0; i < 3; i++ {
		go worker(i, jobs, &group)
	}
	go func() { time.Sleep(time.Hour) }()
	go func() { select {} }()
	var locked sync.Mutex
	locked.Lock()
	go func() { locked.Lock() }()
	time.Sleep(20 * time.Millisecond)
	scalars()
	group.Wait()
}
