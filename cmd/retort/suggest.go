package main

import (
	"flag"
	"fmt"
	"strings"
)

// suggestion returns " (did you mean x?)" with the nearest name, or "" when no name is near.
func suggestion(typed string, names []string) string {
	best, fewest := "", max(1, min(len(typed)/2, 3))+1
	for _, name := range names {
		if name == typed {
			continue // a flag that this command lacks
		}
		n := edits(strings.ToLower(typed), name)
		if len(typed) > 2 && strings.HasPrefix(name, typed) {
			n = min(n, 1)
		}
		if n < fewest {
			best, fewest = name, n
		}
	}
	if best == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %s?)", best)
}

// suggestFlag adds the nearest flag to package flag's error for an unknown flag.
func suggestFlag(flags *flag.FlagSet, err error) error {
	typed, ok := strings.CutPrefix(err.Error(), "flag provided but not defined: ")
	if !ok {
		return err
	}
	var names []string
	flags.VisitAll(func(f *flag.Flag) { names = append(names, "-"+f.Name) })
	return fmt.Errorf("%w%s", err, suggestion(typed, append(names, "-quiet", "-json")))
}

func suggestCommand(typed string) string {
	names := []string{"help"}
	for _, c := range commands() {
		if !c.hidden {
			names = append(names, c.name, strings.Fields(c.name)[0])
		}
	}
	return suggestion(typed, names)
}
