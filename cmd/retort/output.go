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

// outputMode is what the flags -quiet and -json ask for, which every command has, or every one with a result in JSON.
type outputMode struct{ quiet, json bool }

// outputHelp is the text of "retort help output".
const outputHelp = `The result goes to standard output, everything else to standard error: progress (on a terminal one line in place, with
rate and time left; elsewhere a line a minute), warnings, errors.

  -quiet   nothing but errors and the result
  -json    for programs: the result is one object on one line of standard output; docs/command.md names its members.
           Standard error has an object a line, of these types:
             {"type":"progress","stage":"train","done":30,"total":40,"rate":10,"seconds_left":1,"seconds":2,"note":"loss 0.5"}
             {"type":"message","text":"..."}
             {"type":"error","text":"...","exit_code":1}
           A stage tells its progress when it begins, once a second, and with "ended":true when it ends. "total", "rate" and
           "seconds_left" are left out while they are not known.

Both can be given together. Headings and errors are coloured on terminals only, and not where NO_COLOR is set or TERM is dumb.

  retort distill -c retort.yaml -json 2>progress.jsonl | jq -r .model
`

// takeOutputMode takes -quiet and -json out of a command's arguments.
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

// target is what the flag of that name sets, or nil where it is the command's own or another.
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

// flagName parts an argument that package flag takes for a flag; name is "" for any other.
func flagName(arg string) (name, value string, hasValue bool) {
	if len(arg) < 2 || arg[0] != '-' || arg == "--" {
		return "", "", false
	}
	return strings.Cut(strings.TrimPrefix(arg[1:], "-"), "=")
}

// takesValue says whether the next argument belongs to the flag.
func takesValue(flags *flag.FlagSet, name string) bool {
	f := flags.Lookup(name)
	if f == nil {
		return false
	}
	b, ok := f.Value.(interface{ IsBoolFlag() bool })
	return !ok || !b.IsBoolFlag()
}

// progress is what a command gets as its standard error.
func (m outputMode) progress(stderr io.Writer) *progress.Progress {
	switch {
	case m.quiet:
		return progress.New(progress.Quiet)
	case m.json:
		return progress.NewJSON(stderr)
	}
	return progress.New(stderr)
}

// fail writes why the command failed.
func (m outputMode) fail(w io.Writer, c *command, err error, code int) {
	text := strings.ReplaceAll(err.Error(), errUsage.Error()+": ", "")
	if errors.Is(err, context.Canceled) && code >= exitInterrupted {
		text = interruptedText(c, text)
	}
	if m.json {
		writeResult(w, map[string]any{"type": "error", "text": text, "exit_code": code}) // nobody is left to tell of a failure
		return
	}
	fmt.Fprintf(w, "%s %s\n", alarm(w, "retort "+c.name+":"), text)
	if code == exitUsage {
		fmt.Fprintf(w, "\n%s\n\"retort %s -h\" explains it\n", usageLine(c), c.name)
	}
}

// interruptedText says that the command was, and what else went wrong.
func interruptedText(c *command, text string) string {
	lines := []string{"interrupted"}
	if c.resumes {
		lines[0] += ": what was made is kept, and the same command goes on with it"
	}
	for _, line := range strings.Split(text, "\n") {
		if !strings.Contains(line, context.Canceled.Error()) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

// announceStop tells who watches what Ctrl-C does, unless the command ends at once. The function that it returns ends that.
func announceStop(ctx context.Context, c *command, p *progress.Progress) (done func()) {
	over := make(chan struct{})
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-over:
		case <-time.After(200 * time.Millisecond):
			if c.resumes {
				p.Print("finishing what is at hand, and saving; Ctrl-C again stops at once")
			} else {
				p.Print("stopping; Ctrl-C again stops at once")
			}
		}
	})
	return func() { stop(); close(over) }
}

// output is what a command gets as its standard output. It remembers what could not be written.
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

// wantsJSON says whether the result goes to stdout by writeResult.
func wantsJSON(stdout io.Writer) bool {
	o, ok := stdout.(*output)
	return ok && o.json
}

// writeResult writes a result, which is an object in JSON, on one line.
func writeResult(stdout io.Writer, v any) error {
	enc := json.NewEncoder(stdout)
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// heading is a text in bold, alarm one in red, where w is to be coloured.
func heading(w io.Writer, text string) string { return coloured(w, "1", text) }
func alarm(w io.Writer, text string) string   { return coloured(w, "31", text) }

func coloured(w io.Writer, code, text string) string {
	if !progress.Colours(w) {
		return text
	}
	return "\x1b[" + code + "m" + text + "\x1b[0m"
}
