package transformer

import (
	"context"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"

	"github.com/retort-ir/retort/encoder"
)

// CountTruncated returns the number of texts that Encode truncates in the given role, because they have more tokens
// than limit, prompt and special tokens included. It computes no vectors. It is safe for concurrent use.
func (m *Model) CountTruncated(ctx context.Context, role encoder.Role, texts []string) (cut, limit int, err error) {
	return m.folder.countTruncated(ctx, role, texts)
}

// Tokenize returns the token ids of a text as Encode gives them to the network: with the prompt, special tokens and the
// length limit. cut says whether the text had more tokens. Tokenize is safe for concurrent use.
func (s *Side) Tokenize(text string) (ids []int32, cut bool, err error) {
	ids, cut, err = s.Tower.tokenizer.EncodeText(s.Prompt+text, s.Tokens)
	if err != nil {
		err = fmt.Errorf("transformer: text %.60q: %w", text, err)
	}
	return ids, cut, err
}

func (f *Folder) countTruncated(ctx context.Context, role encoder.Role, texts []string) (cut, limit int, err error) {
	if role != encoder.Query && role != encoder.Passage {
		return 0, 0, fmt.Errorf("transformer: role %d is neither query nor passage", role)
	}
	side := f.Side(role)
	var n atomic.Int64
	var failed atomic.Pointer[error]
	var wg sync.WaitGroup
	workers := runtime.GOMAXPROCS(0)
	for w := range workers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := w; i < len(texts) && ctx.Err() == nil; i += workers {
				_, cut, err := side.Tokenize(texts[i])
				if err != nil {
					failed.Store(&err)
				}
				if cut {
					n.Add(1)
				}
			}
		}()
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, 0, *err
	}
	return int(n.Load()), side.Tokens, ctx.Err()
}
