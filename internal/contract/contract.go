// Package contract collects the violations that a contract test finds. As in testing/fstest, the tests of a contract
// return errors and need no *testing.T, so that a program can run them too.
package contract

import (
	"context"
	"errors"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"strings"
	"sync"
)

// T runs one check. All methods but Errorf end the check at a violation, and must be called from the goroutine that
// runs the check.
type T struct {
	ctx  context.Context
	mu   sync.Mutex
	errs []error
	ends []func()
}

// end is the panic that ends a check.
type end struct{}

// Run runs a check, then the functions given to Cleanup, and returns all violations, joined. Each begins with name.
func Run(ctx context.Context, name string, check func(*T)) error {
	t := &T{ctx: ctx}
	t.run(check)
	for i := len(t.ends) - 1; i >= 0; i-- {
		t.run(func(*T) { t.ends[i]() })
	}
	for i, err := range t.errs {
		t.errs[i] = fmt.Errorf("%s: %w", name, err)
	}
	return errors.Join(t.errs...)
}

func (t *T) run(check func(*T)) {
	defer func() {
		p := recover()
		if _, ended := p.(end); p != nil && !ended {
			t.Errorf("panic: %v", p)
		}
	}()
	check(t)
}

// Context is the context of the run.
func (t *T) Context() context.Context { return t.ctx }

// Errorf notes a violation. It is safe for concurrent use.
func (t *T) Errorf(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.errs = append(t.errs, fmt.Errorf(format, args...))
}

// Skip ends the check without a violation.
func (t *T) Skip() { panic(end{}) }

// Cleanup runs f after the check.
func (t *T) Cleanup(f func()) { t.ends = append(t.ends, f) }

// TempDir returns a new folder, which is removed after the check.
func (t *T) TempDir() string {
	dir, err := os.MkdirTemp("", "contract-*")
	t.NoError(err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// require notes a violation, with the message and the line of the check, and ends the check, unless ok.
func (t *T) require(ok bool, message []any, format string, args ...any) {
	if ok {
		return
	}
	text := fmt.Sprintf(format, args...)
	if len(message) > 0 {
		text = fmt.Sprintf(message[0].(string), message[1:]...) + ": " + text
	}
	_, file, line, _ := runtime.Caller(2)
	t.Errorf("%s (%s:%d)", text, filepath.Base(file), line)
	panic(end{})
}

func (t *T) True(ok bool, message ...any) { t.require(ok, message, "condition does not hold") }

func (t *T) NoError(err error, message ...any) { t.require(err == nil, message, "error %v", err) }

func (t *T) Error(err error, message ...any) { t.require(err != nil, message, "no error") }

func (t *T) ErrorIs(err, want error, message ...any) {
	t.require(errors.Is(err, want), message, "error %v, want %v", err, want)
}

func (t *T) ErrorContains(err error, want string, message ...any) {
	t.require(err != nil && strings.Contains(err.Error(), want), message, "error %v does not name %q", err, want)
}

func (t *T) Equal(want, got any, message ...any) {
	t.require(reflect.DeepEqual(want, got), message, "got %.200s, want %.200s", fmt.Sprint(got), fmt.Sprint(want))
}

func (t *T) NotEqual(other, got any, message ...any) {
	t.require(!reflect.DeepEqual(other, got), message, "unchanged: %.200s", fmt.Sprint(got))
}

func (t *T) InDelta(want, got, delta float64, message ...any) {
	t.require(math.Abs(got-want) <= delta, message, "got %v, want %v within %v", got, want, delta)
}

// InEpsilon wants a relative difference of at most epsilon.
func (t *T) InEpsilon(want, got, epsilon float64, message ...any) {
	t.require(math.Abs(got-want) <= epsilon*math.Abs(want), message,
		"got %v, want %v within a factor of %v", got, want, epsilon)
}

// InDeltas is InDelta for the elements of vectors of one length.
func (t *T) InDeltas(want, got []float32, delta float64, message ...any) {
	t.require(len(want) == len(got), message, "%d elements, want %d", len(got), len(want))
	for i := range want {
		d := math.Abs(float64(got[i]) - float64(want[i]))
		t.require(d <= delta, message, "element %d is %v, want %v within %v", i, got[i], want[i], delta)
	}
}
