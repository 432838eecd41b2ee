package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/retort-ir/retort/cmd/retort/internal/progress"
)

// outputMode holds -quiet, which every command has, and -json, which every command with a JSON result has.
type outputMode struct{ quiet, json bool }

// outputHelp is the text of "retort help output".
const outputHelp = `The result goes to standard output. Progress, warnings and errors go to standard error. A terminal shows progress as one
line, redrawn in place, with the rate and the time left. A file or pipe gets one line a minute.

  -quiet   print only errors and the result
  -json    for programs: print the result as one JSON object on one line of standard output; docs/command.md lists its
           members. Standard error has one JSON object per line, of these types:
    {"type":"progress","stage":"train","done":30,"total":40,"rate":10,"seconds_left":1,"seconds":2,"note":"loss 0.5"}
    {"type":"message","text":"..."}
    {"type":"error","text":"...","exit_code":1}
           A stage reports progress when it starts, once a second, and with "ended":true when it ends. "total", "rate"
           and "seconds_left" are absent while they are unknown.

The two flags combine. Only a terminal shows colours, unless NO_COLOR is set or TERM is dumb.

  retort distill -c retort.yaml -json 2>progress.jsonl | jq -r .model
`

// takeOutputMode removes -quiet and -json from a command's arguments.
func takeOutputMode(c *command, args []string) (outputMode, []string, error) {
	var mode outputMode
	flags := c.flags()
	if flags == nil {
		return mode, args, nil
	}
	var rest []string
	for i := 0; i < len(args); i++ {
		name, value, hasValue := flagName(args[i])
		target := mode.target(c, flags, name)
		switch {
		case args[i] == "--":
			return mode, append(rest, args[i:]...), nil
		case target != nil && hasValue:
			on, err := strconv.ParseBool(value)
			if err != nil {
				return mode, nil, fmt.Errorf("%w: -%s is %q, want true or false", errUsage, name, value)
			}
			*target = on
			continue
		case target != nil:
			*target = true
			continue
		}
		rest = append(rest, args[i])
		if !hasValue && takesValue(flags, name) && i+1 < len(args) {
			i++
			rest = append(rest, args[i])
		}
	}
	return mode, rest, nil
}

// target returns what the flag sets, or nil for any flag but -quiet and -json. A flag of the command goes first.
func (m *outputMode) target(c *command, flags *flag.FlagSet, name string) *bool {
	switch {
	case flags.Lookup(name) != nil:
		return nil
	case name == "quiet":
		return &m.quiet
	case name == "json" && c.json:
		return &m.json
	}
	return nil
}

// flagName splits an argument as package flag does. name is "" for an argument that is no flag.
func flagName(arg string) (name, value string, hasValue bool) {
	if len(arg) < 2 || arg[0] != '-' || arg == "--" {
		return "", "", false
	}
	return strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
}

// takesValue reports whether the next argument belongs to the flag.
func takesValue(flags *flag.FlagSet, name string) bool {
	f := flags.Lookup(name)
	if f == nil {
		return false
	}
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !b.IsBoolFlag()
}

// progress returns the standard error of a command.
func (m outputMode) progress(stderr io.Writer) *progress.Progress {
	switch {
	case m.quiet:
		return progress.New(progress.Quiet)
	case m.json:
		return progress.NewJSON(stderr)
	}
	return progress.New(stderr)
}

func (m outputMode) fail(w io.Writer, c *command, err error, code int) {
	text := strings.ReplaceAll(err.Error(), errUsage.Error()+": ", "")
	if errors.Is(err, context.Canceled) && code >= exitInterrupted {
		text = interruptedText(c, text)
	}
	if m.json {
		writeResult(w, map[string]any{"type": "error", "text": text, "exit_code": code}) // nowhere to report an error
		return
	}
	fmt.Fprintf(w, "%s %s\n", alarm(w, "retort "+c.name+":"), text)
	if code == exitUsage {
		fmt.Fprintf(w, "\n%s\n\"retort %s -h\" explains the command\n", usageLine(c), c.name)
	}
}

// interruptedText replaces the lines of text that only report the cancelled context.
func interruptedText(c *command, text string) string {
	lines := []string{"interrupted"}
	if c.resumes {
		lines[0] += ": the work so far is kept; run the same command to resume"
	}
	for _, line := range strings.Split(text, "\n") {
		if !strings.Contains(line, context.Canceled.Error()) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// announceStop announces that the command is stopping, unless the command ends at once or calls done.
func announceStop(ctx context.Context, c *command, p *progress.Progress) (done func()) {
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-over:
		case <-time.After(200 * time.Millisecond):
			if c.resumes {
				p.Print("finishing the current step and saving; press Ctrl-C again to stop at once")
			} else {
				p.Print("stopping; press Ctrl-C again to stop at once")
			}
		}
	})
	return func() { stop(); close(over) }
}

// output is the standard output of a command. It keeps the first write error.
type output struct {
	w    io.Writer
	json bool
	err  error
}

func (o *output) Write(p []byte) (int, error) {
	n, err := o.w.Write(p)
	if err != nil && o.err == nil {
		o.err = fmt.Errorf("standard output: %w", err)
	}
	return n, err
}

// wantsJSON reports whether the command must print its result with writeResult.
func wantsJSON(stdout io.Writer) bool {
	o, ok := stdout.(*output)
	return ok && o.json
}

// writeResult writes a result as one line of JSON.
func writeResult(stdout io.Writer, v any) error {
	enc := json.NewEncoder(stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

func heading(w io.Writer, text string) string { return coloured(w, "1", text) }
func alarm(w io.Writer, text string) string   { return coloured(w, "31", text) }

func coloured(w io.Writer, code, text string) string {
	if !progress.Colours(w) {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
