package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
)

var completionCommand = command{
	name:    "completion",
	summary: "print a completion script for a shell",
	usage: `bash|zsh|fish

Prints a script that completes retort's commands and flags. The script calls retort, so it stays valid after an update.

example:
  source <(retort completion bash)                                          # in ~/.bashrc
  source <(retort completion zsh)                                           # in ~/.zshrc, after compinit
  retort completion fish >~/.config/fish/completions/retort.fish            # once
`,
	run: runCompletion,
}

// completionScripts call "retort __complete", which prints one candidate per line: the word, a tab, an explanation.
// Without candidates the shell completes file names.
var completionScripts = map[string]string{
	"bash": `# bash completion for retort
_retort() {
    local line
    COMPREPLY=()
    while IFS= read -r line; do
        COMPREPLY+=("${line%%$'\t'*}")
    done < <("${COMP_WORDS[0]/#\~/$HOME}" __complete "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _retort retort
`,
	"zsh": `#compdef retort
_retort() {
    local line
    local -a lines candidates
    lines=("${(@f)$("${(@Q)words[1]}" __complete "${(@Q)words[2,CURRENT]}" 2>/dev/null)}")
    for line in $lines; do
        candidates+=("${${line%%$'\t'*}//:/\\:}:${line#*$'\t'}")
    done
    if (( ${#candidates} )); then
        _describe retort candidates
    else
        _files
    fi
}
if [ "$funcstack[1]" = _retort ]; then
    _retort "$@"
else
    compdef _retort retort
fi
`,
	"fish": `# fish completion for retort
function __retort_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l candidates ($words[1] __complete $words[2..-1] "$current" 2>/dev/null)
    if test (count $candidates) -gt 0
        printf '%s\n' $candidates
    else
        __fish_complete_path "$current"
    end
end
complete -c retort -f -a '(__retort_complete)'
`,
}

// completionShells lists the shells in the order of the help.
var completionShells = []string{"bash", "zsh", "fish"}

func runCompletion(_ context.Context, args []string, stdout, _ io.Writer) error {
	words, err := parseArgs(flag.NewFlagSet("completion", flag.ContinueOnError), args, "bash, zsh or fish")
	if err != nil {
		return err
	}
	script, ok := completionScripts[words[0]]
	if !ok {
		return fmt.Errorf("%w: unknown shell %q, want one of %s", errUsage, words[0], strings.Join(completionShells, ", "))
	}
	_, err = io.WriteString(stdout, script)
	return err
}

// completeCommand answers the scripts. Its arguments are the words after "retort"; the last word is being typed.
func completeCommand() command {
	return command{
		name: "__complete", summary: "answer a shell's completion",
		usage:  "WORD ...\n\nexample:\n  retort __complete dis\n",
		hidden: true, raw: true,
		run: func(_ context.Context, args []string, stdout, _ io.Writer) error {
			for _, c := range complete(args) {
				fmt.Fprintf(stdout, "%s\t%s\n", c.text, c.help)
			}
			return nil
		},
	}
}

// candidate is a completion of the typed word.
type candidate struct{ text, help string }

// complete returns the candidates for the last word. No candidates mean file names.
func complete(words []string) []candidate {
	if len(words) == 0 {
		return nil
	}
	typed := words[len(words)-1]
	var before []string
	for _, w := range words[:len(words)-1] {
		if w != "=" { // bash splits -towers=query into three words
			before = append(before, w)
		}
	}
	if typed == "=" {
		typed = ""
	}
	prefix := ""
	if name, value, ok := flagName(typed); ok { // zsh and fish keep -towers=query as one word
		prefix, typed = typed[:len(typed)-len(value)], value
		before = append(before, "-"+name)
	}
	var matching []candidate
	for _, c := range candidates(before, typed) {
		if strings.HasPrefix(c.text, typed) {
			c.text = prefix + c.text
			matching = append(matching, c)
		}
	}
	return matching
}

func candidates(before []string, typed string) []candidate {
	if len(before) > 0 && isHelp(before[0]) {
		return append(commandNames(before[1:]), topicNames(before[1:])...)
	}
	c, args := find(before)
	if c == nil || c.raw {
		names := commandNames(before)
		if len(before) == 0 {
			names = append(names, candidate{"help", "explain a command or a topic"})
		}
		return names
	}
	flags := c.flags()
	if slices.Contains(args, "--") {
		return nil
	}
	if n := len(args); n > 0 {
		if name, _, hasValue := flagName(args[n-1]); !hasValue && takesValue(flags, name) {
			return words(flagValues[name])
		}
	}
	if strings.HasPrefix(typed, "-") {
		return flagNames(c, flags, typed)
	}
	if c.name == completionCommand.name {
		return words(completionShells)
	}
	return nil
}

// commandNames returns the words that can follow before in the name of a command.
func commandNames(before []string) []candidate {
	var all []candidate
	for _, c := range commands() {
		name := strings.Fields(c.name)
		if c.hidden || len(name) <= len(before) || !slices.Equal(name[:len(before)], before) {
			continue
		}
		next := candidate{name[len(before)], c.summary}
		if len(name) > len(before)+1 {
			next.help = "several commands"
		}
		if !slices.Contains(all, next) {
			all = append(all, next)
		}
	}
	return all
}

func topicNames(before []string) []candidate {
	var all []candidate
	for _, t := range helpTopics {
		if len(before) == 0 {
			all = append(all, candidate{t.name, t.summary})
		}
	}
	return all
}

// flagNames returns a command's flags, with one or two dashes as typed.
func flagNames(c *command, flags *flag.FlagSet, typed string) []candidate {
	dashes := "-"
	if strings.HasPrefix(typed, "--") {
		dashes = "--"
	}
	var all []candidate
	flags.VisitAll(func(f *flag.Flag) { all = append(all, candidate{dashes + f.Name, flagHelp(c, f.Name)}) })
	all = append(all, candidate{dashes + "quiet", "print only errors and the result"})
	if c.json {
		all = append(all, candidate{dashes + "json", "print result and progress as JSON"})
	}
	return append(all, candidate{dashes + "h", "explain the command"})
}

// flagHelp returns the line of the command's usage that starts with the flag, or the help of the setting.
func flagHelp(c *command, name string) string {
	for _, line := range strings.Split(c.usage, "\n") {
		rest, ok := strings.CutPrefix(line, "  -"+name+" ")
		if !ok {
			continue
		}
		if _, help, ok := strings.Cut(rest, "  "); ok {
			return strings.TrimSpace(help)
		}
		return strings.TrimSpace(rest)
	}
	if s := findSetting(name); s != nil && c.name == distillCommand.name {
		return s.help
	}
	return ""
}

// flagValues lists the values of the flags that accept a fixed set of words.
var flagValues = map[string][]string{
	"towers":     {"query", "both"},
	"tower":      {"query", "passage"},
	"keep":       {"best", "last"},
	"analyzer":   analyzerValues(),
	"target":     targetNames(),
	"loss":       {lossKL, lossPaper},
	"generator":  {"extractive", "llm", "both"},
	"llm-api":    {"chat", "completions"},
	"fuse":       {"z", "rrf"},
	"scale":      {"none", "min-max", "percentile"},
	"learn":      {"positives", "scores", "both"},
	"types":      {"sentence", "title", "keywords", "phrase", "howto"},
	"device":     {"cpu", "cuda", "cuda:0"},
	"precision":  {"fp32", "bf16"},
	"pooling":    {"mean", "cls", "max", "mean_sqrt_len_tokens", "weightedmean", "lasttoken"},
	"vectors-as": vectorPrecisions(),
	"role":       {"query", "passage"},
	"format":     {"text", "md", "csv"},
}

func words(list []string) []candidate {
	var all []candidate
	for _, w := range list {
		all = append(all, candidate{w, ""})
	}
	return all
}
