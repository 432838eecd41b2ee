// Command retort makes a dense retriever good at a corpus, and measures it. "retort -h" lists the commands.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
)

// command is one command of retort. run must parse its arguments first, because the method flags calls run with -h to
// find the flags.
type command struct {
	name    string // one word, or two for a command of a group: "libtorch install"
	summary string // one line
	usage   string // arguments, then examples
	run     func(ctx context.Context, args []string, stdout, stderr io.Writer) error
	json    bool // prints its result as JSON with -json
	resumes bool // continues an interrupted call
	hidden  bool // not listed
	raw     bool // parses its arguments itself
}

// commands returns all commands in the order of the help.
func commands() []command {
	return []command{
		distillCommand,
		generateCommand,
		scoreCommand,
		trainTeacherCommand,
		statusCommand,
		repairCommand,
		evalCommand,
		compareCommand,
		searchCommand,
		embedCommand,
		exportCommand,
		reportCommand,
		libtorchInstall,
		libtorchEnv,
		libtorchDoctor,
		demoCommand,
		fetchModel,
		completionCommand,
		versionCommand,
		completeCommand(),
	}
}

// flags returns the command's flags, or nil for a raw command.
func (c *command) flags() *flag.FlagSet {
	if c.raw {
		return nil
	}
	var asked *helpAsked
	if !errors.As(c.run(context.Background(), []string{"-h"}, io.Discard, io.Discard), &asked) {
		return nil
	}
	return asked.flags
}

func main() {
	os.Exit(untilInterrupted(func(ctx context.Context) int { return run(ctx, os.Args[1:], os.Stdout, os.Stderr) }))
}

// run finds the command that args name and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printHelp(stderr, "")
		return exitUsage
	}
	if isHelp(args[0]) {
		return help(args[1:], stdout, stderr)
	}
	if args[0] == "-version" || args[0] == "--version" {
		args = append([]string{versionCommand.name}, args[1:]...)
	}
	c, rest := find(args)
	if c == nil {
		return unknown(args, stdout, stderr)
	}
	return c.execute(ctx, rest, stdout, stderr)
}

// execute runs the command and returns the exit code.
func (c *command) execute(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	mode, args, err := takeOutputMode(c, args)
	if err == nil {
		out, p := &output{w: stdout, json: mode.json}, mode.progress(stderr)
		done := announceStop(ctx, c, p)
		err = c.run(ctx, args, out, p)
		done()
		p.Close()
		if err == nil {
			err = out.err
		}
	}
	if errors.Is(err, flag.ErrHelp) {
		printUsage(stdout, c)
		return exitOK
	}
	code := exitCode(ctx, err)
	if code != exitOK {
		mode.fail(stderr, c, err, code)
	}
	return code
}

// find returns the command with the longest name that args starts with, and the remaining arguments.
func find(args []string) (*command, []string) {
	all := commands()
	for n := min(2, len(args)); n > 0; n-- {
		name := strings.Join(args[:n], " ")
		for i := range all {
			if all[i].name == name {
				return &all[i], args[n:]
			}
		}
	}
	return nil, nil
}

// unknown handles arguments that name no command. For the name of a group it lists the commands of the group.
func unknown(args []string, stdout, stderr io.Writer) int {
	for _, c := range commands() {
		if !strings.HasPrefix(c.name, args[0]+" ") {
			continue
		}
		if len(args) > 1 && isHelp(args[1]) {
			printHelp(stdout, args[0])
			return exitOK
		}
		if len(args) == 1 || strings.HasPrefix(args[1], "-") {
			printHelp(stderr, args[0])
			return exitUsage
		}
		args = []string{args[0] + " " + args[1]}
		break
	}
	fmt.Fprintf(stderr, "%s unknown command %q%s: \"retort -h\" lists the commands\n",
		alarm(stderr, "retort:"), args[0], suggestCommand(args[0]))
	return exitUsage
}

func isHelp(arg string) bool {
	return arg == "help" || arg == "-h" || arg == "--h" || arg == "-help" || arg == "--help"
}

// helpTopics are explained by "retort help TOPIC".
var helpTopics = []struct {
	name, summary string
	print         func(io.Writer)
}{
	{"exit-codes", "list the exit codes", printExitCodes},
	{
		"output", "explain standard output and error, -quiet, -json, colours",
		func(w io.Writer) { fmt.Fprint(w, outputHelp) },
	},
}

func help(args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printHelp(stdout, "")
		return exitOK
	}
	if c, rest := find(args); c != nil && len(rest) == 0 {
		printUsage(stdout, c)
		return exitOK
	}
	for _, t := range helpTopics {
		if t.name == args[0] {
			t.print(stdout)
			return exitOK
		}
	}
	return unknown(append(args[:1:1], "-h"), stdout, stderr)
}

// printHelp lists the commands whose name begins with prefix.
func printHelp(w io.Writer, prefix string) {
	fmt.Fprint(w, "Retort makes a dense retriever good at your corpus.\n\n")
	fmt.Fprintln(w, heading(w, "Commands"))
	for _, c := range commands() {
		if !c.hidden && strings.HasPrefix(c.name, prefix) {
			fmt.Fprintf(w, "  retort %-18s %s\n", c.name, c.summary)
		}
	}
	fmt.Fprintf(w, "\n%s\n", heading(w, "Help"))
	fmt.Fprintf(w, "  retort %-18s %s\n", "COMMAND -h", "explain a command, with an example")
	for _, t := range helpTopics {
		fmt.Fprintf(w, "  retort %-18s %s\n", "help "+t.name, t.summary)
	}
}

func printUsage(w io.Writer, c *command) {
	fmt.Fprintf(w, "%s\n\n%s %s\n", c.summary, heading(w, "usage:"),
		strings.TrimSpace("retort "+c.name+" "+strings.TrimSpace(c.usage)))
	if c.raw {
		return
	}
	fmt.Fprint(w, "\n-quiet prints only errors and the result.")
	if c.json {
		fmt.Fprint(w, " -json prints the result, errors and progress as JSON.")
	}
	fmt.Fprint(w, " See \"retort help output\".\n")
}

// usageLine returns the first paragraph of the usage.
func usageLine(c *command) string {
	arguments, _, _ := strings.Cut(c.usage, "\n\n")
	return strings.TrimSpace("usage: retort " + c.name + " " + strings.TrimSpace(arguments))
}

// helpAsked is flag.ErrHelp with the command's flags.
type helpAsked struct{ flags *flag.FlagSet }

func (*helpAsked) Error() string { return flag.ErrHelp.Error() }
func (*helpAsked) Unwrap() error { return flag.ErrHelp }

// parse parses flags and up to most arguments after them. -h gives flag.ErrHelp, a wrong command line errUsage.
func parse(flags *flag.FlagSet, args []string, most int) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return &helpAsked{flags}
		}
		return fmt.Errorf("%w: %w", errUsage, suggestFlag(flags, err))
	}
	if flags.NArg() > most {
		return fmt.Errorf("%w: unexpected argument %q", errUsage, flags.Arg(most))
	}
	return nil
}
