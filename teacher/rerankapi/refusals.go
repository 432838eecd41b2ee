package rerankapi

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"sync"

	"github.com/retort-ir/retort"
)

// refusal is a text that the server would not score.
type refusal struct {
	at   int // its place in the list
	text string
	err  error
}

// How many refused passages are forgiven: this many, or this share of the passages sent.
const (
	forgivenRefusals = 10
	forgivenShare    = .02
)

// refusals knows which texts the server has seen and refused. The zero value is ready.
type refusals struct {
	mu      sync.Mutex
	sent    map[textKey]bool // true: refused
	refused int
	queries int // all of whose passages were refused
}

type textKey [16]byte

func keyOf(text string) textKey {
	sum := sha256.Sum256([]byte(text))
	return textKey(sum[:])
}

func (r *refusals) has(text string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused > 0 && r.sent[keyOf(text)]
}

func (r *refusals) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.refused
}

// send notes that the passages were sent.
func (r *refusals) send(passages []retort.Passage) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.sent == nil {
		r.sent = map[textKey]bool{}
	}
	for _, p := range passages {
		key := keyOf(textOf(p))
		if _, known := r.sent[key]; !known {
			r.sent[key] = false
		}
	}
}

// refuse notes a refusal. first says that the text was not refused before, many that there are more than are forgiven.
func (r *refusals) refuse(text string) (first, many bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := keyOf(text)
	if first = !r.sent[key]; first {
		r.sent[key] = true
		r.refused++
	}
	return first, r.refused > forgivenRefusals && float64(r.refused) > forgivenShare*float64(len(r.sent))
}

// refuseQuery notes a query with which every passage was refused.
func (r *refusals) refuseQuery() (many bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.queries++
	return r.queries > forgivenRefusals
}

// forgive counts and logs the passages of a list that were refused, of so many that were sent. Where there are too many
// it returns an error.
func (c *Client) forgive(ctx context.Context, q retort.Query, passages []retort.Passage, refused []refusal,
	sent int,
) error {
	c.refusals.send(passages)
	if len(refused) == 0 {
		return nil
	}
	if len(refused) > 1 && len(refused) == sent {
		c.log().LogAttrs(ctx, slog.LevelWarn, "the server refuses every passage of a query, whose list says nothing then",
			slog.String("query", q.ID), slog.String("error", refused[0].err.Error()))
		if c.refusals.refuseQuery() {
			return fmt.Errorf("the server refuses every passage of this query and of %d others: %w", forgivenRefusals,
				refused[0].err)
		}
		return nil
	}
	for _, r := range refused {
		id := passages[r.at].ID
		first, many := c.refusals.refuse(r.text)
		if first {
			c.log().LogAttrs(ctx, slog.LevelWarn, "the server refuses a passage, which gets the lowest score of its list",
				slog.String("passage", id), slog.String("query", q.ID), slog.String("error", r.err.Error()))
		}
		if many {
			return fmt.Errorf("passage %q: %w (%d passages were refused: ask the server to cut them, Options.Truncate or "+
				"-rerank-truncate, or cut them in the corpus)", id, r.err, c.refusals.count())
		}
	}
	return nil
}

func (c *Client) log() *slog.Logger {
	if c.options.Logger != nil {
		return c.options.Logger
	}
	return slog.Default()
}
