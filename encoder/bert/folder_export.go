package bert

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/encoder"
)

// Export writes the tower of one role as a folder of its own, for tools that know no Router. It needs no LibTorch:
// weights and tokenizer are copied. The folder's only prompt is the role's, which sentence-transformers' encode puts
// in front of every text; encode, encode_query and encode_document all give the role's vectors. As for Save, dir must
// not exist, or be empty or written by Retort, and cannot be the folder that f was read from.
func (f *Folder) Export(ctx context.Context, dir string, role encoder.Role) error {
	if role != encoder.Query && role != encoder.Passage {
		return fmt.Errorf("bert: role %d is neither query nor passage", role)
	}
	side := *f.Side(role)
	one := &Folder{Dir: f.Dir, Query: side, Passage: side, similarity: f.similarity, truncateDim: f.truncateDim}
	return folderWriter{Folder: one, role: &role}.save(ctx, dir)
}
