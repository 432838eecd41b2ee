package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"testing"
)

// commandLine is the environment variable that makes this test binary the command, with these arguments in JSON.
const commandLine = "RETORT_COMMAND_TEST"

func TestMain(m *testing.M) {
	text := os.Getenv(commandLine)
	if text == "" {
		os.Exit(m.Run())
	}
	var args []string
	if err := json.Unmarshal([]byte(text), &args); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(exitUsage)
	}
	os.Exit(untilInterrupted(func(ctx context.Context) int { return run(ctx, args, os.Stdout, os.Stderr) }))
}
