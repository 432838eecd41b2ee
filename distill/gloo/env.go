package gloo

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"time"
)

// Options describe one worker and how it finds the other workers.
type Options struct {
	Host string // host of rank 0, MASTER_ADDR
	Port int    // MASTER_PORT, the same on all workers
	Rank int    // RANK, this worker's number in [0, Size)
	Size int    // WORLD_SIZE, the number of workers
	// Timeout bounds the wait for all workers to connect, and in each operation the wait for a worker that does not
	// respond; 0 means 30 minutes. The end of a process is detected at once. Timeout must be longer than the work that
	// rank 0 does alone, such as an evaluation.
	Timeout time.Duration
	// Served is true if another process, such as torchrun, serves the store at Host and Port. Otherwise rank 0 does.
	Served bool
	// Attempt distinguishes groups that use the same store: torchrun restarts all workers when one is lost.
	Attempt int
}

// ErrNoGroup is returned by FromEnv if none of the variables is set, so the program runs as a single process.
var ErrNoGroup = errors.New("gloo: RANK and WORLD_SIZE are not set: start the program with torchrun, or set " +
	"MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE")

// FromEnv reads the environment variables MASTER_ADDR, MASTER_PORT, RANK and WORLD_SIZE, and the variables of torchrun.
func FromEnv() (Options, error) { return fromEnv(os.Getenv) }

func fromEnv(env func(string) string) (Options, error) {
	if env("RANK") == "" && env("WORLD_SIZE") == "" {
		return Options{}, ErrNoGroup
	}
	o := Options{Host: env("MASTER_ADDR"), Served: env("TORCHELASTIC_USE_AGENT_STORE") == "True"}
	for _, v := range []struct {
		name  string
		value *int
		or    string
	}{
		{"RANK", &o.Rank, ""},
		{"WORLD_SIZE", &o.Size, ""},
		{"MASTER_PORT", &o.Port, ""},
		{"TORCHELASTIC_RESTART_COUNT", &o.Attempt, "0"},
	} {
		text := env(v.name)
		if text == "" {
			text = v.or
		}
		var err error
		if *v.value, err = strconv.Atoi(text); err != nil {
			return Options{}, fmt.Errorf("gloo: %s is %q, want a number", v.name, text)
		}
	}
	return o, o.Validate()
}

// Validate returns an error that names the first invalid field.
func (o Options) Validate() error {
	switch {
	case o.Size < 1:
		return fmt.Errorf("gloo: WORLD_SIZE (Options.Size) is %d, want at least 1", o.Size)
	case o.Rank < 0 || o.Rank >= o.Size:
		return fmt.Errorf("gloo: RANK (Options.Rank) is %d, want it in [0,%d)", o.Rank, o.Size)
	case o.Host == "":
		return errors.New("gloo: MASTER_ADDR (Options.Host) is not set: it is the host of rank 0")
	case o.Port < 1 || o.Port > 65535:
		return fmt.Errorf("gloo: MASTER_PORT (Options.Port) is %d, want it in [1,65535]", o.Port)
	case o.Timeout < 0, o.Timeout > 0 && o.Timeout < time.Millisecond:
		return fmt.Errorf("gloo: Options.Timeout is %v, want 0 or at least %v", o.Timeout, time.Millisecond)
	}
	return nil
}
