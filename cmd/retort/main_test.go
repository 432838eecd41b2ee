package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestExitCodesAndStreams(t *testing.T) {
	t.Setenv("RETORT_HOME", t.TempDir())
	cases := []struct {
		name           string
		args           []string
		code           int
		stdout, stderr string // a part of what is written; "" for nothing at all
	}{
		{"no command", nil, exitUsage, "", "retort libtorch install"},
		{"help", []string{"-h"}, exitOK, "retort libtorch doctor", ""},
		{"help as a word", []string{"help"}, exitOK, "retort libtorch doctor", ""},
		{"help of a command", []string{"help", "libtorch", "env"}, exitOK, `eval "$(retort libtorch env)"`, ""},
		{"help after a command", []string{"libtorch", "install", "--help"}, exitOK, "-all-ops", ""},
		{"help of a group", []string{"libtorch", "-h"}, exitOK, "libtorch env", ""},
		{"a group alone", []string{"libtorch"}, exitUsage, "", "libtorch env"},
		{
			"an unknown command",
			[]string{"distil"},
			exitUsage, "",
			`unknown command "distil" (did you mean distill?): "retort -h" lists the commands`,
		},
		{
			"an unknown command of a group",
			[]string{"libtorch", "instal"},
			exitUsage, "",
			`unknown command "libtorch instal" (did you mean libtorch install?)`,
		},
		{"nothing near", []string{"brew"}, exitUsage, "", `unknown command "brew": "retort -h" lists the commands`},
		{"an unknown topic", []string{"help", "exitcodes"}, exitUsage, "", `unknown command "exitcodes"`},
		{"help on exit codes", []string{"help", "exit-codes"}, exitOK, "  130  interrupted by Ctrl-C", ""},
		{"help on output", []string{"help", "output"}, exitOK, "NO_COLOR", ""},
		{"a flag that is meant for others", []string{"libtorch", "env", "-json"}, exitUsage, "", "not defined: -json\n"},
		{
			"a mistyped flag",
			[]string{"distill", "-corpsu", "x"},
			exitUsage, "",
			"not defined: -corpsu (did you mean -corpus?)",
		},
		{"a mistyped flag of every command", []string{"search", "-quite"}, exitUsage, "", "(did you mean -quiet?)"},
		{
			"a wrong value of -quiet",
			[]string{"version", "-quiet=maybe"},
			exitUsage, "",
			`-quiet is "maybe", want true or false`,
		},
		{"the version", []string{"version"}, exitOK, "go1.", ""},
		{"the version as a flag", []string{"--version", "-json"}, exitOK, `"libtorch":`, ""},
		{"an unknown flag", []string{"libtorch", "env", "-x"}, exitUsage, "", "flag provided but not defined: -x"},
		{
			"two dashes are one",
			[]string{"libtorch", "install", "--all-op"},
			exitUsage, "",
			"not defined: -all-op (did you mean -all-ops?)",
		},
		{"a word too many", []string{"libtorch", "env", "now"}, exitUsage, "", `unexpected argument "now"`},
		{"a missing argument", []string{"fetch-model"}, exitUsage, "", "the name of a model is missing"},
		{
			"an unknown model",
			[]string{"fetch-model", "bert"},
			exitUsage, "",
			`unknown model "bert", want one of minilm, bge-small, e5-small, mpnet, smollm2`,
		},
		{"a failure", []string{"libtorch", "env"}, exitFailure, "", `run "retort libtorch install"`},
		{
			"a folder without a model",
			[]string{"fetch-model", "-out", t.TempDir(), "minilm"},
			exitFailure, "",
			"exists but has no model",
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			require.Equal(t, c.code, run(t.Context(), c.args, &stdout, &stderr), stderr.String())
			for _, s := range []struct{ want, got string }{{c.stdout, stdout.String()}, {c.stderr, stderr.String()}} {
				if s.want == "" {
					require.Empty(t, s.got)
				} else {
					require.Contains(t, s.got, s.want)
				}
			}
		})
	}
}

func TestEveryCommandHasAnExample(t *testing.T) {
	for _, c := range commands() {
		require.NotEmpty(t, c.summary, c.name)
		require.Contains(t, c.usage, "\nexample", c.name)
		require.Contains(t, c.usage[strings.Index(c.usage, "\nexample"):], "retort "+c.name, c.name)
	}
}

func TestAModelThatIsThereIsNotFetchedAgain(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, "model.safetensors"), nil, 0o644))
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // a download would fail at once
	var stdout, stderr bytes.Buffer
	require.Equal(t, exitOK, run(ctx, []string{"fetch-model", "-out", dir, "minilm"}, &stdout, &stderr), stderr.String())
	require.Equal(t, dir+"\n", stdout.String())
}
