package tokenizer

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"

	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/regular"
)

// Options configure a tokenizer. The zero value is for an encoder of any class.
type Options struct {
	// Class is the tokenizer class of transformers that a folder has that names none. Where it is set, only the classes of
	// encoders are accepted. Where it is empty, any class is, and a folder that names none is read as its tokenizer.json
	// says.
	Class string
	// Prompts says that texts are prompts of a language model: the caller cuts them and adds special tokens, and never
	// pads them.
	Prompts bool
	// AnySide accepts padding on the left: the positions of the model are relative to each other.
	AnySide bool
	// Lowercase turns texts to lower case before anything else. Accents stay.
	Lowercase bool
}

// Load reads the tokenizer of a model folder as transformers 5 does: tokenizer.json, or vocab.txt if a BertTokenizer
// has no tokenizer.json. tokenizer_config.json names the class, which decides what counts:
//
//   - For a BertTokenizer, DistilBertTokenizer and MPNetTokenizer, tokenizer.json gives only the vocabulary and the added
//     tokens. do_lower_case (default true), strip_accents, tokenize_chinese_chars and the special tokens come from
//     tokenizer_config.json and special_tokens_map.json.
//   - For a RobertaTokenizer, XLMRobertaTokenizer and CamembertTokenizer, tokenizer.json gives the model, the added tokens
//     and a Precompiled normalizer. add_prefix_space comes from tokenizer_config.json.
//   - For a general class, tokenizer.json gives everything except further special tokens, which transformers adds, and
//     the side to cut.
//   - Any other class is read like a general class, but a special token that tokenizer.json does not list is an error.
func Load(dir string, o Options) (*Tokenizer, error) {
	var files []file
	for _, name := range []string{File, vocabFile, ConfigFile, specialsFile, addedTokensFile} {
		data, err := regular.ReadFile(filepath.Join(dir, name), regular.MaxJSON)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := filekind.CheckText(data); err != nil {
			return nil, fmt.Errorf("%s: %w", filepath.Join(dir, name), err)
		}
		files = append(files, file{name, data})
	}
	return fromFiles(dir, files, o)
}

// Parse makes a tokenizer from a tokenizer.json alone.
func Parse(data []byte) (*Tokenizer, error) {
	return fromFiles("", []file{{File, data}}, Options{Prompts: true})
}

// fromFiles makes a tokenizer from files. dir is their folder, for errors.
func fromFiles(dir string, files []file, o Options) (t *Tokenizer, err error) {
	r, err := newReader(dir, files, o)
	if err != nil {
		return nil, err
	}
	if slow := guard(func() { t, err = r.tokenizer() }); slow != nil || err != nil {
		return nil, errors.Join(slow, err)
	}
	t.files = files
	if t.fingerprint, err = digest(files); o.Lowercase {
		t.fingerprint += " lower"
	}
	return t, err
}

// reader makes a tokenizer from the files of a folder.
type reader struct {
	Options
	dir       string
	data      map[string][]byte
	class     class
	className string

	config, specialsMap, added modelfolder.Settings

	description *description
	source      string // the file that holds the vocabulary
	names       specialNames
	other       []token // of added_tokens_decoder, or of added_tokens.json
	decoder     bool    // other are of added_tokens_decoder
	switches    switches
	bert        bertTokens // of a BertTokenizer or MPNetTokenizer
	notes       []string
}

// class is how much of tokenizer.json counts.
type class int

const (
	classBERT       class = iota // vocabulary and added tokens
	classMPNet                   // vocabulary and added tokens
	classRoBERTa                 // all but the normalizer, the pre-tokenizer and the post-processor
	classXLMRoBERTa              // all but the pre-tokenizer, the post-processor and most normalizers
	classGeneral                 // all, and further special tokens
	classOther                   // all
)

// wordPiece reports whether only vocabulary and added tokens count.
func (c class) wordPiece() bool { return c == classBERT || c == classMPNet }

// classes are the classes of encoders. transformers' older names of the first seven end in Fast.
var classes = []struct {
	name  string
	class class
}{
	{"BertTokenizer", classBERT},
	{"DistilBertTokenizer", classBERT},
	{"MPNetTokenizer", classMPNet},
	{"RobertaTokenizer", classRoBERTa},
	{"XLMRobertaTokenizer", classXLMRoBERTa},
	{"CamembertTokenizer", classXLMRoBERTa},
	{"Qwen2Tokenizer", classOther},
	{"PreTrainedTokenizerFast", classGeneral},
	{"TokenizersBackend", classGeneral},
}

func newReader(dir string, files []file, o Options) (*reader, error) {
	r := &reader{Options: o, dir: dir, data: map[string][]byte{}}
	for _, f := range files {
		r.data[f.name] = f.data
	}
	for name, to := range map[string]*modelfolder.Settings{
		ConfigFile: &r.config, specialsFile: &r.specialsMap, addedTokensFile: &r.added,
	} {
		if r.data[name] == nil {
			continue
		}
		var err error
		if *to, err = modelfolder.Parse(r.path(name), r.data[name]); err != nil {
			return nil, err
		}
	}
	if r.decoder = r.config.Has("added_tokens_decoder"); r.decoder { // it overrides both other files
		r.specialsMap, r.added = modelfolder.Settings{}, modelfolder.Settings{}
	}
	return r, r.readClass()
}

func (r *reader) path(name string) string { return filepath.Join(r.dir, name) }

func (r *reader) readClass() error {
	const key = "tokenizer_class"
	var name string
	if _, err := r.config.Get(key, &name); err != nil {
		return err
	}
	r.className = cmp.Or(name, r.Class)
	var names []string
	for _, c := range classes {
		if r.className == c.name || r.className == c.name+"Fast" {
			r.class = c.class
			return nil
		}
		names = append(names, c.name)
	}
	r.class = classOther
	if r.Class != "" {
		return r.config.Errorf(key, "is %s; supported are %s; load and save the tokenizer with transformers' AutoTokenizer, "+
			"and set PreTrainedTokenizerFast", name, strings.Join(names, ", "))
	}
	return nil
}

func (r *reader) tokenizer() (*Tokenizer, error) {
	if err := r.describe(); err != nil {
		return nil, err
	}
	if err := r.readConfig(); err != nil {
		return nil, err
	}
	if err := r.applyClass(); err != nil {
		return nil, err
	}
	if r.Lowercase {
		r.description.normalizer = r.description.normalizer.lowerFirst()
	}
	t, err := r.build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.path(r.source), err)
	}
	return t, nil
}

// describe reads the file that holds the vocabulary.
func (r *reader) describe() (err error) {
	r.source = File
	switch {
	case r.data[File] != nil:
		r.description, err = describe(r.data[File])
	case r.class.wordPiece() && r.data[vocabFile] != nil:
		r.source = vocabFile
		r.description, err = describeVocab(r.data[vocabFile])
	case r.class.wordPiece():
		return fmt.Errorf("%s: neither %s nor %s", r.dir, File, vocabFile)
	default:
		return fmt.Errorf("%s: %w; vocab.json or a tokenizer.model alone is not read: load and save the tokenizer with "+
			"transformers' AutoTokenizer", r.path(File), fs.ErrNotExist)
	}
	if err == nil && r.class.wordPiece() {
		err = r.description.checkBERT(strings.TrimSuffix(r.className, "Fast"))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", r.path(r.source), err)
	}
	return nil
}

// checkBERT refuses a tokenizer.json whose model, normalizer or pre-tokenizer a BertTokenizer, or a class that is one in
// other words, would ignore.
func (d *description) checkBERT(class string) error {
	if d.model.Type != "WordPiece" {
		return fmt.Errorf("model.type is %s; a %s has WordPiece", d.model.Type, class)
	}
	if d.stages == nil && d.normalizer == nil { // of vocab.txt
		return nil
	}
	if len(d.stages) != 1 || d.stages[0] != preTokenizer(bertWords{}) {
		return fmt.Errorf("pre_tokenizer is not a BertPreTokenizer, the only one of a %s", class)
	}
	if len(d.normalizer) == 1 {
		if _, ok := d.normalizer[0].(bertNormalizer); ok {
			return nil
		}
	}
	return fmt.Errorf("normalizer is not a BertNormalizer, the only one of a %s", class)
}

// readConfig reads tokenizer_config.json, special_tokens_map.json and added_tokens.json. The last two count only if
// tokenizer_config.json has no added_tokens_decoder.
func (r *reader) readConfig() (err error) {
	if r.names, err = readSpecialNames(r.config, r.specialsMap, r.Prompts); err != nil {
		return err
	}
	if r.decoder {
		r.other, err = readDecoder(r.config)
	} else {
		r.other, err = readAddedTokens(r.added, r.names)
	}
	if err != nil || r.Prompts {
		return err
	}
	for _, settings := range []modelfolder.Settings{r.config, r.specialsMap} {
		if err := r.checkConfig(settings); err != nil {
			return err
		}
	}
	r.switches, err = readSwitches(settingsFiles{r.config, r.specialsMap})
	return err
}

// build makes the tokenizer once all files are read.
func (r *reader) build() (*Tokenizer, error) {
	d := r.description
	cutLeft, err := d.truncation.cutsLeft()
	if err != nil {
		return nil, err
	}
	if d.padding != nil && d.padding.Direction != "Right" && !r.Prompts && !r.AnySide {
		return nil, fmt.Errorf("padding.direction is %q, which is not supported; %s", d.padding.Direction, leftPadding)
	}
	t, err := d.build(r.addedTokens)
	if err != nil {
		return nil, err
	}
	t.cutLeft, t.maxLength, t.notes = cutLeft, r.switches.maxLength, r.notes
	if r.switches.cutLeft != nil {
		t.cutLeft = *r.switches.cutLeft
	}
	return t, r.finish(t)
}

// finish sets the templates and the padding.
func (r *reader) finish(t *Tokenizer) error {
	if r.class.wordPiece() {
		if err := r.bert.setTemplates(r.description, t); err != nil {
			return err
		}
	}
	if id, ok := t.ids[r.padToken()]; ok {
		t.pad = id
	}
	if err := t.setTemplates(r.description.templates); err != nil {
		return fmt.Errorf("post_processor: %w", err)
	}
	if r.Prompts {
		return nil
	}
	if t.single.specials == 0 {
		return errors.New("post_processor is missing or adds no token: an empty text would have no tokens; add it")
	}
	for i, part := range t.single.parts {
		if part.typeID != 0 {
			return fmt.Errorf("post_processor: single[%d].type_id is %d; only 0 is supported", i, part.typeID)
		}
	}
	return nil
}

func (r *reader) padToken() string {
	if r.class.wordPiece() {
		return r.bert.pad
	}
	if named, ok := r.names.named["pad_token"]; ok {
		return named.Content
	}
	if padding := r.description.padding; padding != nil && padding.Token != "" {
		return padding.Token
	}
	if r.class == classRoBERTa || r.class == classXLMRoBERTa {
		return "<pad>"
	}
	return "[PAD]"
}

// addedTokens returns the added tokens with their ids: the tokens that the files list, and the special tokens that the
// files name.
func (r *reader) addedTokens() ([]token, error) {
	d := r.description
	size := len(d.vocab)
	if d.scored != nil {
		size = len(d.scored)
		d.vocab = make(map[string]int64, size)
		for id, s := range d.scored {
			d.vocab[s.token] = int64(id)
		}
	}
	if err := d.checkAdded(); err != nil {
		return nil, err
	}
	a := addedVocabulary{vocab: d.vocab, size: int64(size), ids: map[string]int64{}}
	for _, token := range r.listed() {
		a.add(token)
	}
	listed := map[string]bool{}
	for _, token := range a.tokens {
		listed[token.Content] = true
	}
	for _, token := range r.specials() {
		if _, ok := d.vocab[token.Content]; !ok && token.source == "" {
			continue // a default name, which neither a file nor the model's vocabulary has
		}
		if listed[token.Content] { // equal names may match differently: the last one counts
			continue
		}
		if !r.class.wordPiece() && r.class != classGeneral {
			return nil, fmt.Errorf("%s names %q, which added_tokens lacks; load and save the tokenizer with transformers' "+
				"AutoTokenizer, or remove the token", token.source, token.Content)
		}
		a.add(token)
	}
	for _, token := range d.added {
		if id, ok := a.ids[token.Content]; ok && id != token.ID {
			return nil, fmt.Errorf("added token %q has id %d, and the next id is %d; load and save the tokenizer with "+
				"transformers' AutoTokenizer", token.Content, token.ID, id)
		}
	}
	return a.tokens, nil
}

// checkAdded refuses added tokens that contradict the vocabulary.
func (d *description) checkAdded() error {
	for i, token := range d.added {
		if token.Content == "" {
			return fmt.Errorf("added_tokens[%d] has no content", i)
		}
		if id, ok := d.vocab[token.Content]; ok && id != token.ID {
			return fmt.Errorf("added token %q has id %d, and %d elsewhere in the file", token.Content, token.ID, id)
		}
	}
	return nil
}

// listed returns the tokens that files list, in the order in which transformers adds the tokens.
func (r *reader) listed() []token {
	added := r.description.added
	switch {
	case r.class == classGeneral:
		return slices.Concat(added, r.other)
	case !r.class.wordPiece():
		return added
	}
	if r.decoder {
		return r.other
	}
	byID := map[int64]token{}
	for _, token := range slices.Concat(r.other, added) {
		byID[token.ID] = token
	}
	tokens := make([]token, 0, len(byID))
	for _, token := range byID {
		tokens = append(tokens, token)
	}
	sortByID(tokens)
	return tokens
}

// specials returns the special tokens that the files name, and the five default tokens of a BertTokenizer or
// MPNetTokenizer.
func (r *reader) specials() []token {
	names := r.names
	if r.Prompts {
		names = names.without("pad_token")
	}
	switch {
	case r.class == classGeneral:
		return names.list()
	case r.class.wordPiece():
		return names.with(r.bert.byKey()).list()
	}
	return slices.Concat(names.list(), r.other)
}

// checkConfig refuses what the schema refuses, and notes what it does not know.
func (r *reader) checkConfig(file modelfolder.Settings) error {
	var named []string
	if r.AnySide {
		named = append(named, "padding_side")
	}
	for _, key := range file.Keys() {
		if strings.HasSuffix(key, "_token") && (isToken(file.Raw(key)) || slices.Contains(namedTokens, key)) {
			named = append(named, key)
		}
	}
	unknown, err := ConfigSchema.Check(file.Without(named...))
	if len(unknown) > 0 {
		r.notes = append(r.notes, modelfolder.UnknownNote(file, unknown))
	}
	return err
}
