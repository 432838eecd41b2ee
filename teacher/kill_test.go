package teacher

import (
	"bufio"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
)

// childDir is the environment variable that makes this test binary the child of the tests below.
const childDir = "RETORT_TEACHER_TEST_CHILD"

func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		if err := child(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// child scores one list after the other, saying so on standard output once each is in the store, until it is killed.
func child(dir string) error {
	s, err := OpenStore(context.Background(), storeIn(dir), nil)
	if err != nil {
		return err
	}
	fmt.Println("open")
	c, err := Cached(&lengths{name: "child"}, s)
	if err != nil {
		return err
	}
	for i := s.Len() / listLen; ; i++ {
		if _, err := c.Score(context.Background(), childQuery(i), childList(i)); err != nil {
			return err
		}
		fmt.Println(i)
	}
}

const listLen = 7

func childQuery(i int) retort.Query {
	return retort.Query{ID: fmt.Sprint(i), Text: fmt.Sprint("query ", i)}
}

func childList(i int) []retort.Passage {
	texts := make([]string, listLen)
	for n := range texts {
		texts[n] = strings.Repeat("x", (i*31+n)%97+n*97)
	}
	return passages(texts...)
}

// startChild returns once the child has opened its store. kill ends it and returns the lists it said were stored.
func startChild(t *testing.T, dir string) (kill func() []int) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childDir+"="+dir)
	out, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	t.Cleanup(func() { cmd.Process.Kill() })
	lines := bufio.NewScanner(out)
	require.True(t, lines.Scan(), "the child did not open its store")
	return func() []int {
		killed := make(chan struct{})
		var stored []int
		go func() {
			defer close(killed)
			for lines.Scan() {
				var i int
				// A kill can cut the last line short: a number without its end is no acknowledgement.
				if _, err := fmt.Sscanf(lines.Text(), "%d", &i); err == nil {
					stored = append(stored, i)
				}
			}
		}()
		time.Sleep(time.Duration(rand.IntN(30_000)) * time.Microsecond)
		cmd.Process.Kill()
		<-killed
		cmd.Wait()
		return stored
	}
}

func TestScoresSurviveAKillAndAreWrittenOnce(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[int]bool{}
	for range 15 {
		for _, i := range startChild(t, dir)() {
			acknowledged[i] = true
		}
		s := openStore(t, dir)
		seen := map[key]bool{}
		for _, r := range readAll(t, dir) {
			require.False(t, seen[r.key], "a record was written twice")
			seen[r.key] = true
		}
		require.Equal(t, len(seen), s.Len())
		for i := range acknowledged {
			for _, p := range childList(i) {
				got, ok := s.get(scoreKey("child", childQuery(i).Text, p.Content()))
				require.True(t, ok, "list %d was acknowledged and is lost", i)
				require.Equal(t, float64(len(p.Content())), got)
			}
		}
		require.NoError(t, s.Close())
	}
	require.NotEmpty(t, acknowledged)
	t.Logf("%d lists acknowledged over 15 kills", len(acknowledged))
}

func TestStoreOfAnotherProcessIsRefusedUntilThatEnds(t *testing.T) {
	dir := t.TempDir()
	kill := startChild(t, dir)
	_, err := OpenStore(t.Context(), storeIn(dir), quiet)
	require.ErrorIs(t, err, retort.ErrInUse)
	require.ErrorContains(t, err, "by another process")
	kill()
	openStore(t, dir)
}
