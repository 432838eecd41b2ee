package teacher

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"iter"

	"github.com/retort-ir/retort"
	"github.com/retort-ir/retort/encoder"
)

// Cached returns a teacher that computes each score of t once and stores it, keyed by t's fingerprint, the query's text
// and the passage's content. Missing scores (NaN) are stored too. It asks t only for the scores that are not in the
// store, in one call, so t's score of a passage must not depend on the other passages. t must implement
// encoder.Fingerprinter (see WithFingerprint).
//
// For an Ensemble, Cached returns an ensemble of cached members, because fused scores depend on the list. The members
// must have fingerprints.
//
// Several teachers may share one store. The result is safe for concurrent use; two concurrent calls may both ask t for
// the same score, and the first answer is stored.
func Cached(t Teacher, store *Store) (Teacher, error) {
	if store == nil {
		return nil, errors.New("cache a teacher: no store")
	}
	if e, ok := t.(*Ensemble); ok {
		return cachedEnsemble(e, store)
	}
	if f, ok := t.(fingerprinted); ok {
		if _, ok := f.Teacher.(*Ensemble); ok {
			return nil,
				errors.New("cache a teacher: the scores of an ensemble depend on the list; give fingerprints to its members " +
					"instead")
		}
	}
	f, ok := t.(encoder.Fingerprinter)
	if !ok {
		return nil, fmt.Errorf("cache a teacher: %T has no fingerprint: see teacher.WithFingerprint", t)
	}
	fingerprint := f.Fingerprint()
	if fingerprint == "" {
		return nil, fmt.Errorf("cache a teacher: the fingerprint of %T is empty", t)
	}
	return &cached{teacher: t, fingerprint: fingerprint, store: store}, nil
}

func cachedEnsemble(e *Ensemble, store *Store) (Teacher, error) {
	members := e.Members()
	for i, m := range members {
		t, err := Cached(m.Teacher, store)
		if err != nil {
			return nil, fmt.Errorf("member %s of the ensemble: %w", m.Name, err)
		}
		members[i].Teacher = t
	}
	return newEnsemble(e.fusion, members)
}

type cached struct {
	teacher     Teacher
	fingerprint string
	store       *Store
}

func (c *cached) Fingerprint() string { return c.fingerprint }

func (c *cached) Score(ctx context.Context, q retort.Query, passages []retort.Passage) ([]float64, error) {
	l := c.lookUp(q, passages)
	if len(l.missing) == 0 {
		return l.scores, ctx.Err()
	}
	fresh, err := rawScores(ctx, c.teacher, q, l.unknown)
	if err != nil {
		return nil, err
	}
	if err := c.store.put(l.fill(fresh)); err != nil {
		return nil, err
	}
	return l.scores, nil
}

func (c *cached) BatchSize() int { return batchSize(c.teacher) }

// ScoreBatch asks for what the store lacks of all lists in one batch.
func (c *cached) ScoreBatch(ctx context.Context, lists []Work) iter.Seq2[int, Scored] {
	return func(yield func(int, Scored) bool) {
		var lacking []lookup
		var work []Work
		var at []int // their places in lists
		for i, list := range lists {
			l := c.lookUp(list.Query, list.Passages)
			if len(l.missing) == 0 {
				if !yield(i, Scored{Scores: l.scores}) {
					return
				}
				continue
			}
			lacking, at = append(lacking, l), append(at, i)
			work = append(work, Work{list.Query, l.unknown})
		}
		if len(work) == 0 {
			return
		}
		for n, fresh := range rawEach(ctx, c.teacher, work) {
			scored := Scored{Err: fresh.Err}
			if scored.Err == nil {
				scored.Err = c.store.put(lacking[n].fill(fresh.Scores))
			}
			if scored.Err == nil {
				scored.Scores = lacking[n].scores
			}
			if !yield(at[n], scored) {
				return
			}
		}
	}
}

// lookup is what the store holds of a list's scores.
type lookup struct {
	scores  []float64
	keys    []key
	missing []int            // indexes of the passages whose scores it lacks
	unknown []retort.Passage // those passages
}

func (c *cached) lookUp(q retort.Query, passages []retort.Passage) lookup {
	l := lookup{scores: make([]float64, len(passages)), keys: make([]key, len(passages))}
	for i, p := range passages {
		l.keys[i] = scoreKey(c.fingerprint, q.Text, p.Content())
		score, ok := c.store.get(l.keys[i])
		if !ok {
			l.missing, l.unknown = append(l.missing, i), append(l.unknown, p)
		}
		l.scores[i] = score
	}
	return l
}

// fill enters the scores of the unknown passages and returns them for the store.
func (l lookup) fill(fresh []float64) []record {
	records := make([]record, len(l.missing))
	for n, i := range l.missing {
		l.scores[i] = fresh[n]
		records[n] = record{l.keys[i], fresh[n]}
	}
	return records
}

// key is the first half of a SHA-256, which is as good as the whole for telling texts apart and halves the memory.
type key [16]byte

// scoreKey hashes the parts with their lengths, so that no two triples run together into the same bytes.
func scoreKey(fingerprint, query, content string) key {
	h := sha256.New()
	for _, part := range []string{fingerprint, query, content} {
		var length [8]byte
		binary.LittleEndian.PutUint64(length[:], uint64(len(part)))
		h.Write(length[:])
		io.WriteString(h, part)
	}
	return key(h.Sum(nil)[:16])
}
