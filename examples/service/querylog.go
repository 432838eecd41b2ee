package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/generate"
)

// queryLog is a file of the queries that people asked, one JSON line each. A line is written by one call that appends,
// so that a killed process loses none; a power cut may lose the last ones, and leaves at most one torn line, which the
// next start cuts off. Only its owner may read it: people's queries are private. The file is one that "retort distill
// -queries" reads.
type queryLog struct {
	mu    sync.Mutex
	file  *os.File
	size  int64
	count int
}

// queriesFile is the name of the file in the service's folder.
const queriesFile = "queries.jsonl"

type loggedQuery struct {
	ID   string    `json:"_id"`
	Text string    `json:"text"`
	Time time.Time `json:"time"`
}

// openQueryLog opens or makes the file. torn is how many bytes of a torn last line it cut off.
func openQueryLog(path string) (l *queryLog, torn int64, err error) {
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, 0, err
	}
	l = &queryLog{file: file}
	if err := file.Chmod(0o600); err != nil { // of a file that an earlier version made for all to read
		file.Close()
		return nil, 0, fmt.Errorf("queries: %w", err)
	}
	if torn, err = l.repair(); err == nil {
		_, err = l.read(func(retort.Query) { l.count++ })
	}
	if err != nil {
		file.Close()
		return nil, 0, fmt.Errorf("queries: %w", err)
	}
	return l, torn, nil
}

// readQueryLog opens the file of a service that may be running, to read what it has been asked until now.
func readQueryLog(path string) (*queryLog, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("queries: %w", err)
	}
	l := &queryLog{file: file}
	if _, err = l.findEnd(); err == nil {
		_, err = l.read(func(retort.Query) { l.count++ })
	}
	if err != nil {
		file.Close()
		return nil, fmt.Errorf("queries: %w", err)
	}
	return l, nil
}

// repair cuts the file behind its last newline.
func (l *queryLog) repair() (torn int64, err error) {
	if torn, err = l.findEnd(); torn == 0 {
		return 0, err
	}
	return torn, l.file.Truncate(l.size)
}

// findEnd sets the size to what ends with the last newline, and returns how many bytes come after it.
func (l *queryLog) findEnd() (torn int64, err error) {
	info, err := l.file.Stat()
	if err != nil {
		return 0, err
	}
	end, block := info.Size(), make([]byte, 64<<10)
	for end > 0 {
		start := max(0, end-int64(len(block)))
		part := block[:end-start]
		if _, err := l.file.ReadAt(part, start); err != nil {
			return 0, err
		}
		if i := bytes.LastIndexByte(part, '\n'); i >= 0 {
			end = start + int64(i) + 1
			break
		}
		end = start
	}
	l.size = end
	return info.Size() - end, nil
}

// add appends a query and returns how many there are now. Where the disk takes no whole line, the file is as before.
func (l *queryLog) add(text string, at time.Time) (count int, err error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	line, err := json.Marshal(loggedQuery{fmt.Sprintf("asked%d", l.count+1), text, at.UTC().Truncate(time.Millisecond)})
	if err != nil {
		return l.count, err
	}
	line = append(line, '\n')
	if n, err := l.file.Write(line); err != nil {
		if n > 0 {
			err = fmt.Errorf("%w (removing the torn line: %v)", err, l.file.Truncate(l.size))
		}
		return l.count, err
	}
	l.size += int64(len(line))
	l.count++
	return l.count, nil
}

// distinct returns the last most queries that differ, ready to train on, and how many were asked until now.
func (l *queryLog) distinct(most int) ([]retort.Query, int, error) {
	last := map[string]int{} // normalised text to its number in all
	var all []retort.Query
	count, err := l.read(func(q retort.Query) {
		key := generate.Normalize(q.Text)
		if key == "" {
			return
		}
		if i, ok := last[key]; ok {
			all[i] = retort.Query{}
		}
		last[key] = len(all)
		all = append(all, q)
	})
	if err != nil {
		return nil, 0, fmt.Errorf("queries: %w", err)
	}
	var kept []retort.Query
	for i := len(all) - 1; i >= 0 && len(kept) < most; i-- {
		if all[i].ID != "" {
			kept = append(kept, all[i])
		}
	}
	return kept, count, nil
}

// read calls do with the queries that the file holds now.
func (l *queryLog) read(do func(retort.Query)) (count int, err error) {
	l.mu.Lock()
	size := l.size
	l.mu.Unlock()
	for q, err := range retort.ReadQueries(io.NewSectionReader(l.file, 0, size), l.file.Name()) {
		if err != nil {
			return count, err
		}
		do(q)
		count++
	}
	return count, nil
}

func (l *queryLog) asked() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.count
}

func (l *queryLog) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if err := l.file.Sync(); err != nil {
		l.file.Close()
		return err
	}
	return l.file.Close()
}
