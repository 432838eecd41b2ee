package pipeline

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/rss"
	"github.com/retort-ir/retort/internal/strictjson"
	"github.com/retort-ir/retort/mine"
)

// encodePassages takes the vectors that it was given, or those of an earlier run of the same student and corpus, if the
// folder holds them. It goes on where an encoding was cut off.
func (r *run) encodePassages(ctx context.Context) (*mine.Dense, error) {
	if r.Vectors.Data != nil {
		return mine.NewDenseVectors(r.student, r.Vectors)
	}
	key := fmt.Sprintf("%s %s\n", fingerprint(r.student), r.corpusHash)
	dense, err := r.storedVectors(ctx, key)
	if dense != nil || err != nil {
		return dense, err
	}
	if err := r.sayCutPassages(ctx); err != nil {
		return nil, err
	}
	start := time.Now()
	err = r.folder.Replace(ctx, func() error {
		// The key is removed first and written last, so that it never describes other vectors.
		if err := os.Remove(r.path(runVectorsKey)); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := r.writeVectors(ctx); err != nil {
			return err
		}
		r.encoding = encodingCost{time.Since(start).Seconds(), rss.Peak()}
		return atomicfile.Write(r.path(runVectorsKey), func(w io.Writer) error {
			if _, err := io.WriteString(w, key); err != nil {
				return err
			}
			return json.NewEncoder(w).Encode(r.encoding)
		})
	}, runVectors, runVectorsKey)
	if err != nil {
		return nil, err
	}
	return mine.OpenDense(r.student, r.path(runVectors))
}

func (r *run) writeVectors(ctx context.Context) error {
	return mine.WriteVectors(ctx, r.student, r.corpus, r.path(runVectors), r.events.stage(stageEncode))
}

// storedVectors returns the vectors of an earlier call, nil where there are none of this key or they are not as they
// were written.
func (r *run) storedVectors(ctx context.Context, key string) (*mine.Dense, error) {
	old, err := regular.ReadFile(r.path(runVectorsKey), regular.MaxText)
	if err != nil || !strings.HasPrefix(string(old), key) {
		if r.folder.Recorded(runVectorsKey) {
			_, err := r.whole(ctx, runVectorsKey) // to say so where that is why
			return nil, err
		}
		return nil, nil
	}
	if whole, err := r.whole(ctx, runVectors, runVectorsKey); !whole {
		return nil, err
	}
	dense, err := mine.OpenDense(r.student, r.path(runVectors))
	if err != nil {
		return nil, nil
	}
	if dense.Len() != r.corpus.Len() {
		return nil, dense.Close()
	}
	r.encoding = readCost(old[len(key):])
	return dense, nil
}

// encodingCost is what encoding the passages took, in the call that ended it. It is behind the key of the vectors.
type encodingCost struct {
	Seconds   float64 `json:"seconds"`
	PeakBytes int64   `json:"peak_bytes"`
}

// readCost returns zero where the cost is not known: it is for the report only.
func readCost(line []byte) encodingCost {
	var c encodingCost
	if err := strictjson.Unmarshal(line, &c); err != nil || !(c.Seconds >= 0) || c.PeakBytes < 0 {
		return encodingCost{}
	}
	return c
}
