package live_test

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/encoder/encodertest"
	"github.com/retort-ir/retort/examples/service/live"
)

// model gives the in-memory encoder, which has nothing to close, a Close.
type model struct {
	*encodertest.Encoder
	name string
}

func (m model) Close() error {
	fmt.Println(m.name, "closed")
	return nil
}

// A request that has begun keeps its model; the one that comes after the swap gets the new one.
func ExampleEncoder() {
	open := func(name string, seed uint64) model {
		e, err := encodertest.New(encodertest.Options{Seed: seed})
		if err != nil {
			panic(err)
		}
		return model{e, name}
	}
	queries := live.New(open("first", 1))

	request, err := queries.Acquire()
	if err != nil {
		fmt.Println(err)
		return
	}
	closed, err := queries.Swap(open("second", 2))
	if err != nil {
		fmt.Println(err)
		return
	}
	next, err := queries.Acquire()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("generations", request.Generation, "and", next.Generation)
	request.Release()
	if err := <-closed; err != nil {
		fmt.Println(err)
	}
	next.Release()
	if err := queries.Close(context.Background()); err != nil {
		fmt.Println(err)
	}
	// Output:
	// generations 1 and 2
	// first closed
	// second closed
}
