package main

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// A measurement that was interrupted goes on where it stopped, says how far it is, and ends in the same bytes.
func TestMeasurementGoesOnWhereItStopped(t *testing.T) {
	dir := runFolder(t)
	args := fakeArgs(t, dir, "-queries", dir+"/queries.jsonl", "-qrels", dir+"/qrels/test.tsv")
	_, log, err := distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.Regexp(t, `measure before +0/18\n(.*\n)*measure before +18/18`, log, "six queries, three systems")
	require.Regexp(t, `measure after +6/6`, log)
	before := filepath.Join(dir, "run", "before.jsonl")
	want := readString(t, before)

	// As Ctrl-C leaves it: two systems are done, and one query of the third.
	lines := bytes.SplitAfter([]byte(want), []byte("\n"))
	damaged := bytes.Clone([]byte(want))
	damaged[len(bytes.Join(lines[:13], nil))+5] ^= 1
	require.NoError(t, os.WriteFile(before, damaged, 0o600))
	succeed(t, "repair", filepath.Join(dir, "run"))
	require.Regexp(t, `before +interrupted +13 .*resumed`, succeed(t, "status", filepath.Join(dir, "run")))
	_, log, err = distillFake(t, t.Context(), args...)
	require.NoError(t, err)
	require.Regexp(t, `measure before +18/18`, log)
	require.Equal(t, want, readString(t, before))
}
