package openai

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
)

// The environment variables that make this test binary the child of the test below.
const (
	childURL  = "RETORT_OPENAI_TEST_CHILD_URL"
	childFile = "RETORT_OPENAI_TEST_CHILD_FILE"
)

func TestMain(m *testing.M) {
	if os.Getenv(childURL) == "" {
		os.Exit(m.Run())
	}
	if err := child(os.Getenv(childURL), os.Getenv(childFile)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

const (
	childRequests    = 200
	childConcurrency = 4
)

func requestOfChild(i int) generate.Request { return request(fmt.Sprint("passage ", i)) }

// child asks for all completions and ends.
func child(url, file string) error {
	answers, err := generate.OpenAnswers(context.Background(), file, nil)
	if err != nil {
		return err
	}
	defer answers.Close()
	fmt.Println("open")
	c, err := New(Options{URL: url, Model: "m", Concurrency: childConcurrency})
	if err != nil {
		return err
	}
	model, err := generate.Recorded(c, answers)
	if err != nil {
		return err
	}
	requests := make([]generate.Request, childRequests)
	for i := range requests {
		requests[i] = requestOfChild(i)
	}
	for _, o := range model.(generate.BatchCompleter).CompleteBatch(context.Background(), requests) {
		if o.Err != nil {
			return o.Err
		}
	}
	return nil
}

// countingServer counts how often each passage is asked for, and calls kill once it has sent so many answers.
type countingServer struct {
	mu     sync.Mutex
	counts map[string]int
	left   int // answers until kill
	kill   func()
}

func (s *countingServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Messages []generate.Message }
	if json.NewDecoder(r.Body).Decode(&body) != nil || len(body.Messages) == 0 {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	passage := body.Messages[len(body.Messages)-1].Content
	s.mu.Lock()
	s.counts[passage]++
	s.left--
	kill := func() {}
	if s.left == 0 {
		kill = s.kill
	}
	s.mu.Unlock()
	w.Header().Set("Content-Type", "application/json")
	text, _ := json.Marshal("about " + passage)
	fmt.Fprintf(w, `{"choices":[{"finish_reason":"stop","message":{"content":%s}}]}`, text)
	http.NewResponseController(w).Flush()
	kill()
}

func (s *countingServer) snapshot() map[string]int {
	s.mu.Lock()
	defer s.mu.Unlock()
	counts := map[string]int{}
	for passage, n := range s.counts {
		counts[passage] = n
	}
	return counts
}

func TestWhatIsInTheFileIsNeverAskedAgainWhateverIsKilled(t *testing.T) {
	server := &countingServer{counts: map[string]int{}}
	h := httptest.NewServer(server)
	t.Cleanup(h.Close)
	file := filepath.Join(t.TempDir(), "answers.jsonl")
	kills, asked := 0, 0
	for last := 0; last < childRequests; kills++ {
		before := server.snapshot()
		have := recordedPassages(t, h.URL, file)
		require.GreaterOrEqual(t, len(have), last)
		last = len(have)

		runChild(t, server, h.URL, file, 1+rand.IntN(60))

		after := server.snapshot()
		for passage := range have {
			require.Equal(t, before[passage], after[passage], "%q was in the file and is asked again", passage)
		}
	}
	for _, n := range server.snapshot() {
		asked += n
	}
	require.Len(t, recordedPassages(t, h.URL, file), childRequests)
	require.Greater(t, kills, 2)
	require.LessOrEqual(t, asked, childRequests+kills*childConcurrency, "a kill loses what is in flight and no more")
	t.Logf("%d requests for %d answers over %d kills", asked, childRequests, kills)
}

// runChild kills a child after so many answers, unless it ends before.
func runChild(t *testing.T, server *countingServer, url, file string, answers int) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+url+"/v1", childFile+"="+file)
	cmd.Stderr = os.Stderr
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	server.mu.Lock() // no request is counted before
	server.left, server.kill = answers, func() { cmd.Process.Kill() }
	err = cmd.Start()
	server.mu.Unlock()
	require.NoError(t, err)
	lines := bufio.NewScanner(stdout)
	require.True(t, lines.Scan(), "the child did not open the file")
	_, err = io.Copy(io.Discard, stdout)
	require.NoError(t, err)
	if err := cmd.Wait(); err != nil {
		require.Equal(t, -1, cmd.ProcessState.ExitCode(), "killed by a signal, and not failed: %v", err)
	}
}

func TestTwoProcessesCannotWriteAtOnce(t *testing.T) {
	release := make(chan struct{})
	h := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}))
	t.Cleanup(h.Close)
	defer close(release)
	file := filepath.Join(t.TempDir(), "answers.jsonl")
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), childURL+"="+h.URL+"/v1", childFile+"="+file)
	stdout, err := cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, cmd.Start())
	defer func() {
		cmd.Process.Kill()
		cmd.Wait()
	}()
	require.True(t, bufio.NewScanner(stdout).Scan(), "the child did not open the file")
	_, err = generate.OpenAnswers(t.Context(), file, nil)
	require.ErrorIs(t, err, retort.ErrInUse)
}

// recordedPassages returns those of the child's passages whose answers are in the file.
func recordedPassages(t *testing.T, url, file string) map[string]bool {
	answers, err := generate.OpenAnswers(t.Context(), file, slog.New(slog.NewTextHandler(io.Discard, nil)))
	require.NoError(t, err)
	defer answers.Close()
	c, err := New(Options{URL: url + "/v1", Model: "m"})
	require.NoError(t, err)
	defer c.Close()
	model, err := generate.Recorded(mute{c}, answers)
	require.NoError(t, err)
	have := map[string]bool{}
	for i := range childRequests {
		r := requestOfChild(i)
		completion, err := model.Complete(t.Context(), r)
		if errors.Is(err, errMute) {
			continue
		}
		require.NoError(t, err)
		passage := r.Prompt.Messages[len(r.Prompt.Messages)-1].Content
		require.Equal(t, "about "+passage, completion.Text)
		have[passage] = true
	}
	require.Equal(t, answers.Len(), len(have))
	return have
}

// mute has a client's identity and asks nobody.
type mute struct{ client *Client }

var errMute = errors.New("not in the file")

func (m mute) Model() string       { return m.client.Model() }
func (m mute) Fingerprint() string { return m.client.Fingerprint() }

func (m mute) Complete(context.Context, generate.Request) (generate.Completion, error) {
	return generate.Completion{}, errMute
}
