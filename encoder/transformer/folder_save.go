package transformer

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/encoder"
	"github.com/retort-ir/retort/internal/atomicfile"
	"github.com/retort-ir/retort/internal/encodernet"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/safetensors"
)

// retortConfig is retort_config.json: the length limits of the roles, because sentence-transformers has only one limit
// per tower, and the model's origin for the model card.
type retortConfig struct {
	QueryTokens   int    `json:"query_tokens"`
	PassageTokens int    `json:"passage_tokens"`
	BaseModel     string `json:"base_model,omitempty"` // the model's name before training
}

// saveFolder writes the model of f as a folder that sentence-transformers 5 and 6 load and ReadFolder reads: one
// tower as Transformer, Pooling, Normalize, two as a Router with the routes query and document. trained holds the
// weights of the towers that have changed, by their names in a BertModel, which are written as float32. Where none
// has changed each file is copied byte by byte, else the other tower is written as float32 too: sentence-transformers
// computes in the type that it reads, and one model computes in one type. The folder appears whole or not at all; dir
// must not exist, or be an empty folder or one that saveFolder wrote, which is replaced; it cannot be the one that
// the model was opened from.
//
// In sentence-transformers the length limit of a single tower is the larger one of the two roles'.
func saveFolder(dir string, f *Folder, trained map[*Tower][]safetensors.Tensor, card *encoder.Card) error {
	return folderWriter{Folder: f, trained: trained, card: card}.save(context.Background(), dir)
}

// folderWriter writes a model's folder.
type folderWriter struct {
	*Folder
	trained map[*Tower][]safetensors.Tensor
	card    *encoder.Card // nil: nothing is known of how the model came about
	onnx    bool          // whether networks are written in ONNX
}

func (w folderWriter) save(ctx context.Context, dir string) error {
	if err := atomicfile.CheckFolder(dir, w.Dir, retortJSON); err != nil {
		return fmt.Errorf("save model: %w", err)
	}
	err := atomicfile.WriteFolder(dir, func(temporary string) error { return w.write(ctx, temporary) })
	if err != nil {
		return fmt.Errorf("save model %s: %w", filepath.Clean(dir), err)
	}
	return nil
}

func (w folderWriter) write(ctx context.Context, dir string) error {
	if w.Shared() {
		side := w.Query
		side.Tokens = max(w.Query.Tokens, w.Passage.Tokens)
		if err := w.writeTower(ctx, dir, &side); err != nil {
			return err
		}
		names, classes := w.savedModules(w.Query.Tower)
		names[0] = ""
		if err := writeJSON(dir, modulesJSON, moduleList(names, classes)); err != nil {
			return err
		}
		if err := w.writeModules(dir, names, w.Query.Tower); err != nil {
			return err
		}
	} else if err := w.writeRouter(ctx, dir); err != nil {
		return err
	}
	own := retortConfig{w.Query.Tokens, w.Passage.Tokens, w.baseModel()}
	if err := writeJSON(dir, retortJSON, own); err != nil {
		return err
	}
	if err := w.writePrompts(dir); err != nil {
		return err
	}
	return w.writeCard(ctx, dir)
}

func (w folderWriter) writePrompts(dir string) error {
	prompts, otherwise, err := w.prompts()
	if err != nil {
		return err
	}
	config := map[string]any{
		"model_type":          "SentenceTransformer",
		"prompts":             prompts,
		"default_prompt_name": otherwise,
		"similarity_fn_name":  w.similarity,
	}
	if w.dim < w.Query.Tower.width() {
		config["truncate_dim"] = w.dim
	}
	return writeJSON(dir, sentenceTransformersJSON, config)
}

// prompts returns all prompts of the folder that the model was read from, so that callers can still use prompts by
// other names. The prompts of the two roles come from f, because Options may have changed them. A folder for one role
// has only the prompt of that role.
func (w folderWriter) prompts() (prompts map[string]string, otherwise *string, err error) {
	prompts = map[string]string{"query": w.Query.Prompt, "document": w.Passage.Prompt}
	if w.only != nil {
		names := map[encoder.Role]string{encoder.Query: "query", encoder.Passage: "document"}
		if name := names[*w.only]; prompts[name] != "" {
			otherwise = &name
		}
		return prompts, otherwise, nil
	}
	var j struct {
		Prompts map[string]*string `json:"prompts"`
		Default *string            `json:"default_prompt_name"`
	}
	err = jsonfile.Read(filepath.Join(w.Dir, sentenceTransformersJSON), &j)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, nil, err
	}
	for name, prompt := range j.Prompts {
		switch name {
		case "query", "document":
		case "passage", "corpus": // other names of a document's prompt
			prompts[name] = w.Passage.Prompt
		default:
			prompts[name] = valueOr(prompt, "")
		}
	}
	return prompts, j.Default, nil
}

// The classes by the names that sentence-transformers 5 wrote and 6 still reads.
const (
	moduleClass = "sentence_transformers.models."
	routerClass = "sentence_transformers.models.Router"
)

type moduleEntry struct {
	Index int    `json:"idx"`
	Name  string `json:"name"`
	Path  string `json:"path"`
	Type  string `json:"type"`
}

// savedModules returns the names and the classes of the modules that a tower is saved as. They end with Normalize but for
// a model that ranks unnormalised vectors by dot product.
func (w folderWriter) savedModules(t *Tower) (names, classes []string) {
	kinds := []string{"Transformer", "Pooling"}
	for _, h := range t.head {
		kinds = append(kinds, h.kind)
	}
	if w.similarity == modelfolder.Cosine || t.Normalize {
		kinds = append(kinds, "Normalize")
	}
	for i, kind := range kinds {
		names = append(names, fmt.Sprintf("%d_%s", i, kind))
		classes = append(classes, moduleClass+kind)
	}
	return names, classes
}

func moduleList(paths, classes []string) []moduleEntry {
	var list []moduleEntry
	for i, class := range classes {
		list = append(list, moduleEntry{i, fmt.Sprint(i), paths[i], class})
	}
	return list
}

func (w folderWriter) writeRouter(ctx context.Context, dir string) error {
	types, structure := map[string]string{}, map[string][]string{}
	for _, route := range []struct {
		name string
		side *Side
	}{{"query", &w.Query}, {"document", &w.Passage}} {
		ids, classes := w.savedModules(route.side.Tower)
		for i, class := range classes {
			ids[i] = route.name + "_" + ids[i]
			types[ids[i]] = class
		}
		structure[route.name] = ids
		if err := w.writeTower(ctx, filepath.Join(dir, ids[0]), route.side); err != nil {
			return err
		}
		if err := w.writeModules(dir, ids, route.side.Tower); err != nil {
			return err
		}
	}
	if err := writeJSON(dir, modulesJSON, []moduleEntry{{0, "0", "", routerClass}}); err != nil {
		return err
	}
	return writeJSON(dir, routerJSON, map[string]any{
		"types":     types,
		"structure": structure,
		"parameters": map[string]any{
			"default_route": "document", "allow_empty_key": true,
		},
	})
}

// writeModules writes the folders of the modules after the Transformer, by their names.
func (w folderWriter) writeModules(dir string, names []string, t *Tower) error {
	if err := writeJSON(filepath.Join(dir, names[1]), configJSON, t.poolingConfig()); err != nil {
		return err
	}
	rest := names[2:]
	for i := range t.head {
		if err := t.head[i].write(filepath.Join(dir, rest[i]), t, w.trained[t]); err != nil {
			return err
		}
	}
	if len(rest) == len(t.head) {
		return nil
	}
	// sentence-transformers 5 requires the folder of a Normalize; 6 reads the configuration if there is one.
	return writeJSON(filepath.Join(dir, rest[len(t.head)]), configJSON, map[string]any{})
}

// writeTower writes the folder of a Transformer.
func (w folderWriter) writeTower(ctx context.Context, dir string, side *Side) error {
	t := side.Tower
	if err := writeJSON(dir, sentenceBERTJSON, map[string]any{
		"max_seq_length": side.Tokens,
		"do_lower_case":  t.sbert.LowerCase,
	}); err != nil {
		return err
	}
	if err := t.tokenizer.Save(dir, side.Tokens); err != nil {
		return err
	}
	if w.onnx {
		return w.writeONNX(ctx, dir, side)
	}
	return w.writeWeights(ctx, dir, t)
}

// writeWeights writes model.safetensors, and config.json with the type of the weights.
func (w folderWriter) writeWeights(ctx context.Context, dir string, t *Tower) (err error) {
	was, err := t.openWeights()
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, was.Close()) }()
	target := filepath.Join(dir, weightsFile)
	dtype := was.DType()
	if was.File.IsSafetensors() && (len(w.trained) == 0 && dtype != "" || dtype == "float32" && w.trained[t] == nil) {
		config, err := encodernet.CopiedConfig(t.Dir, dtype)
		if err != nil {
			return err
		}
		if err := writeJSON(dir, configJSON, config); err != nil {
			return err
		}
		return atomicfile.Copy(ctx, target, filepath.Join(t.Dir, weightsFile))
	}
	config, err := encodernet.TrainedConfig(t.Dir, t.config.Family().Architecture)
	if err != nil {
		return err
	}
	if err := writeJSON(dir, configJSON, config); err != nil {
		return err
	}
	weights, err := w.weightsOf(t, was)
	if err != nil {
		return err
	}
	return atomicfile.Write(target, func(to io.Writer) error {
		return safetensors.Write(to, weights, map[string]string{"format": "pt"})
	})
}

// weightsOf returns a tower's weights and its original pooler. Embeddings do not use the pooler, but without it
// transformers initialises a random one and warns.
func (w folderWriter) weightsOf(t *Tower, was *encodernet.Weights) ([]safetensors.Tensor, error) {
	weights, err := slices.Clone(w.trained[t]), error(nil)
	weights = slices.DeleteFunc(weights, func(p safetensors.Tensor) bool { return t.isHead(p.Name) })
	if weights == nil {
		if weights, err = t.storedWeights(was); err != nil {
			return nil, err
		}
	}
	pooler, err := was.ReadAll(func(name string) bool { return strings.HasPrefix(name, "pooler.") })
	return slices.Concat(weights, pooler), err
}

// storedWeights reads the parameters of the tower's network.
func (t *Tower) storedWeights(was *encodernet.Weights) ([]safetensors.Tensor, error) {
	var all []safetensors.Tensor
	for _, p := range encodernet.Shapes(t.config) {
		values, err := was.Read(p.Name, p.Dims)
		if err != nil {
			return nil, err
		}
		all = append(all, safetensors.Tensor{Name: p.Name, Shape: p.Dims, Values: values})
	}
	return all, nil
}

// holds reports whether the tower's folder contains these weights.
func (t *Tower) holds(weights []safetensors.Tensor) (same bool, err error) {
	was, err := t.openWeights()
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, was.Close()) }()
	for _, now := range weights {
		read := was.Read
		if t.isHead(now.Name) {
			read = t.readHeadWeights
		}
		values, err := read(now.Name, now.Shape)
		if err != nil || !slices.Equal(values, now.Values) {
			return false, err
		}
	}
	return true, nil
}

// changed returns the towers in weights that differ from the files that they were read from. If the towers of a split
// model do not differ, the returned folder has one tower again.
func (f *Folder) changed(weights map[*Tower][]safetensors.Tensor) (*Folder, map[*Tower][]safetensors.Tensor, error) {
	trained := map[*Tower][]safetensors.Tensor{}
	for tower, values := range weights {
		same, err := tower.holds(values)
		if err != nil {
			return nil, nil, err
		}
		if !same {
			trained[tower] = values
		}
	}
	if len(trained) > 0 || f.Query.Tower.Dir != f.Passage.Tower.Dir {
		return f, trained, nil
	}
	whole := *f
	whole.Query.Tower = f.Passage.Tower
	return &whole, trained, nil
}

func writeJSON(dir, name string, v any) error { return jsonfile.Write(filepath.Join(dir, name), v) }
