// Command retort makes a dense retriever good at a corpus, and measures it. "retort -h" lists what it does.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// command is one of retort's commands. run parses args, which follow the command's name, with newFlags.
type command struct {
	name    string // one word, or several for a command of a group: "libtorch install"
	summary string // one line
	usage   string // arguments, then examples
	run     func(ctx context.Context, args []string, stdout, stderr io.Writer) error
	hidden  bool // not listed
}

// commands is every command, in the order of the help.
func commands() []command {
	return []command{
		distillCommand,
		statusCommand,
		repairCommand,
		evalCommand,
		compareCommand,
		searchCommand,
		embedCommand,
		reportCommand,
		libtorchInstall,
		libtorchEnv,
		libtorchDoctor,
		demoCommand,
		fetchDemoModel,
	}
}

// Exit codes.
const (
	exitOK      = 0
	exitFailure = 1
	exitUsage   = 2
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first Ctrl-C ends the context, the second kills
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// errUsage marks a wrong command line. What is wrong is on stderr already when it has no text of its own.
var errUsage = errors.New("wrong usage")

// run finds the command that args name and returns the exit code.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	if len(args) == 0 {
		printHelp(stderr, "")
		return exitUsage
	}
	if isHelp(args[0]) {
		printHelp(stdout, strings.Join(args[1:], " "))
		return exitOK
	}
	c, rest := find(args)
	if c == nil {
		return unknown(args, stdout, stderr)
	}
	err := c.run(ctx, rest, stdout, stderr)
	switch {
	case err == nil:
		return exitOK
	case errors.Is(err, flag.ErrHelp):
		printUsage(stdout, c)
		return exitOK
	case errors.Is(err, errUsage):
		fmt.Fprintf(stderr, "retort %s: %v\n\n", c.name, err)
		printUsage(stderr, c)
		return exitUsage
	}
	fmt.Fprintf(stderr, "retort %s: %v\n", c.name, err)
	return exitFailure
}

// find returns the command with the longest name that begins args, and what follows the name.
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

// unknown answers a name that is no command: the name of a group lists the group.
func unknown(args []string, stdout, stderr io.Writer) int {
	for _, c := range commands() {
		if !strings.HasPrefix(c.name, args[0]+" ") {
			continue
		}
		if len(args) > 1 && isHelp(args[1]) {
			printHelp(stdout, args[0])
			return exitOK
		}
		printHelp(stderr, args[0])
		return exitUsage
	}
	fmt.Fprintf(stderr, "retort: no command %q: \"retort -h\" lists them\n", args[0])
	return exitUsage
}

func isHelp(arg string) bool {
	return arg == "help" || arg == "-h" || arg == "--h" || arg == "-help" || arg == "--help"
}

// printHelp lists the commands whose name begins with prefix, or shows the one that has just this name.
func printHelp(w io.Writer, prefix string) {
	if c, _ := find(strings.Fields(prefix)); c != nil {
		printUsage(w, c)
		return
	}
	fmt.Fprint(w, "Retort makes a dense retriever good at your corpus.\n\n")
	for _, c := range commands() {
		if !c.hidden && strings.HasPrefix(c.name, prefix) {
			fmt.Fprintf(w, "  retort %-18s %s\n", c.name, c.summary)
		}
	}
	fmt.Fprint(w, "\n\"retort COMMAND -h\" explains a command with an example.\n")
}

func printUsage(w io.Writer, c *command) {
	fmt.Fprintf(w, "%s\n\nusage: retort %s %s\n", c.summary, c.name, strings.TrimSpace(c.usage))
}

// parse parses a command's flags. -h gives flag.ErrHelp, anything wrong errUsage; more than most words after the flags
// are wrong too.
func parse(flags *flag.FlagSet, args []string, most int) error {
	flags.SetOutput(io.Discard)
	flags.Usage = func() {}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return err
		}
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if flags.NArg() > most {
		return fmt.Errorf("%w: what is %q?", errUsage, flags.Arg(most))
	}
	return nil
}
