package transformer

import (
	"context"
	"fmt"

	"github.com/retort-ir/retort/encoder"
)

// Export writes the tower of one role to its own folder, for tools that do not support a Router. It needs no LibTorch,
// because it copies weights and tokenizer. The folder has only the role's prompt, as the default prompt, so encode,
// encode_query and encode_document of sentence-transformers all return the role's vectors. As for Save, dir must not
// exist, or be empty or written by Retort, and cannot be the folder that f was read from.
func (f *Folder) Export(ctx context.Context, dir string, role encoder.Role) error {
	if role != encoder.Query && role != encoder.Passage {
		return fmt.Errorf("transformer: role %d is neither query nor passage", role)
	}
	return folderWriter{Folder: f.Only(role)}.save(ctx, dir)
}

// Only returns the folder with the tower, prompt and limit of one role for both roles.
func (f *Folder) Only(role encoder.Role) *Folder {
	side := *f.Side(role)
	return &Folder{Dir: f.Dir, Query: side, Passage: side, only: &role, similarity: f.similarity, dim: f.dim}
}
