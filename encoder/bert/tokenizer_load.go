package bert

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"math"
	"path/filepath"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/sugarme/tokenizer/model"
	"github.com/sugarme/tokenizer/model/wordpiece"

	"github.com/retort-ir/retort/internal/bertnet"
	"github.com/retort-ir/retort/internal/filekind"
	"github.com/retort-ir/retort/internal/jsonfile"
	"github.com/retort-ir/retort/internal/regular"
	"github.com/retort-ir/retort/internal/strictjson"
)

// The files that a tokenizer may be made of.
const (
	tokenizerJSON   = "tokenizer.json"
	tokenizerConfig = "tokenizer_config.json"
	specialTokens   = "special_tokens_map.json"
	vocabTXT        = "vocab.txt"
	addedTokens     = "added_tokens.json"
)

// tokenizerFile is a file as it was read, so that it can be written again.
type tokenizerFile struct {
	name string
	data []byte
}

// LoadTokenizer reads the tokenizer of a model folder: tokenizer.json, or vocab.txt where there is none. As in the
// transformers package, do_lower_case (true where it is left out), strip_accents and tokenize_chinese_chars of
// tokenizer_config.json win over tokenizer.json, unless its tokenizer_class is a general one (PreTrainedTokenizerFast,
// TokenizersBackend). A tokenizer.json without tokenizer_config.json stands for itself, as in the tokenizers package.
func LoadTokenizer(dir string) (*Tokenizer, error) {
	var files []tokenizerFile
	for _, name := range []string{tokenizerJSON, vocabTXT, tokenizerConfig, specialTokens, addedTokens} {
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
		files = append(files, tokenizerFile{name, data})
	}
	return newTokenizer(dir, files)
}

// newTokenizer makes a tokenizer of files of the folder dir, which stands for them in errors.
func newTokenizer(dir string, files []tokenizerFile) (*Tokenizer, error) {
	spec, err := readSpec(dir, files)
	if err != nil {
		return nil, err
	}
	t, err := spec.build()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, spec.source), err)
	}
	t.files = files
	t.fingerprint, err = digest(files)
	return t, err
}

// tokenizerSpec is what the files say, whichever they are.
type tokenizerSpec struct {
	source     string // the file that holds the vocabulary
	vocab      map[string]int
	prefix     string // of a piece that does not begin its word
	maxChars   int    // a longer word is unknown
	normalizer normalizer
	added      []jsonToken
	cls, sep   string
	pad, unk   string
	mask       string
	maxLength  int // model_max_length; 0 where no file gives one
}

func readSpec(dir string, files []tokenizerFile) (*tokenizerSpec, error) {
	data := map[string][]byte{}
	for _, f := range files {
		data[f.name] = f.data
	}
	s := &tokenizerSpec{
		prefix: "##", maxChars: 100,
		cls: "[CLS]", sep: "[SEP]", pad: "[PAD]", unk: "[UNK]", mask: "[MASK]",
	}
	steps := []struct {
		file string
		read func([]byte) error
	}{
		{vocabTXT, s.readVocab},
		{tokenizerJSON, s.readTokenizerJSON},
		{specialTokens, s.readSpecialTokens},
		{tokenizerConfig, s.readConfig},
	}
	for _, step := range steps {
		if step.file == vocabTXT && data[tokenizerJSON] != nil {
			continue
		}
		if raw, ok := data[step.file]; ok {
			if err := step.read(raw); err != nil {
				return nil, fmt.Errorf("%s: %w", filepath.Join(dir, step.file), err)
			}
		}
	}
	if s.vocab == nil {
		return nil, fmt.Errorf("%s: neither %s nor %s", dir, tokenizerJSON, vocabTXT)
	}
	if s.source == vocabTXT && data[addedTokens] != nil {
		return nil, fmt.Errorf("%s: added tokens beside %s are not supported; save the tokenizer as %s (transformers: "+
			"AutoTokenizer.from_pretrained(DIR).save_pretrained(DIR))", filepath.Join(dir, addedTokens), vocabTXT, tokenizerJSON)
	}
	return s, nil
}

// readVocab reads one piece a line; its id is the number of the line, from 0. The last of equal lines counts.
func (s *tokenizerSpec) readVocab(raw []byte) error {
	if !utf8.Valid(raw) {
		return errors.New("not UTF-8")
	}
	s.source = vocabTXT
	s.vocab = map[string]int{}
	text := strings.TrimSuffix(strings.ReplaceAll(string(raw), "\r\n", "\n"), "\n")
	for i, line := range strings.Split(text, "\n") {
		s.vocab[line] = i
	}
	s.normalizer = normalizer{clean: true, chinese: true, stripAccents: true, lower: true}
	return nil
}

// jsonToken is a token of the list added_tokens.
type jsonToken struct {
	ID         int    `json:"id"`
	Content    string `json:"content"`
	SingleWord bool   `json:"single_word"`
	Normalized bool   `json:"normalized"`
}

// jsonNormalizer is the member normalizer of tokenizer.json.
type jsonNormalizer struct {
	Type         string           `json:"type"`
	CleanText    *bool            `json:"clean_text"`
	Chinese      *bool            `json:"handle_chinese_chars"`
	StripAccents *bool            `json:"strip_accents"`
	Lowercase    *bool            `json:"lowercase"`
	Normalizers  []jsonNormalizer `json:"normalizers"`
}

func (s *tokenizerSpec) readTokenizerJSON(raw []byte) error {
	var j struct {
		Added        []jsonToken     `json:"added_tokens"`
		Normalizer   *jsonNormalizer `json:"normalizer"`
		PreTokenizer *struct {
			Type string `json:"type"`
		} `json:"pre_tokenizer"`
		PostProcessor *jsonPostProcessor `json:"post_processor"`
		Model         struct {
			Type     string          `json:"type"`
			Unk      *string         `json:"unk_token"`
			Prefix   *string         `json:"continuing_subword_prefix"`
			MaxChars *int            `json:"max_input_chars_per_word"`
			Vocab    json.RawMessage `json:"vocab"`
			Merges   json.RawMessage `json:"merges"`
		} `json:"model"`
	}
	if err := jsonfile.Unmarshal(raw, &j); err != nil {
		return err
	}
	kind := j.Model.Type
	if kind == "" && j.Model.Merges != nil {
		kind = "BPE"
	}
	if kind != "WordPiece" && kind != "" {
		return fmt.Errorf("model.type is %s; only WordPiece is supported", kind)
	}
	if err := jsonfile.Unmarshal(j.Model.Vocab, &s.vocab); err != nil || s.vocab == nil {
		return errors.Join(errors.New("model.vocab is not an object of ids"), err)
	}
	s.source = tokenizerJSON
	s.added = j.Added
	if j.Model.Unk != nil {
		s.unk = *j.Model.Unk
	}
	if j.Model.Prefix != nil {
		s.prefix = *j.Model.Prefix
	}
	if j.Model.MaxChars != nil {
		s.maxChars = *j.Model.MaxChars
	}
	if j.PreTokenizer == nil || j.PreTokenizer.Type != "BertPreTokenizer" {
		return errors.New("pre_tokenizer is not a BertPreTokenizer, the only one that is supported")
	}
	if err := s.readNormalizer(j.Normalizer); err != nil {
		return err
	}
	return s.readPostProcessor(j.PostProcessor)
}

// readNormalizer takes a BertNormalizer, alone or after a Lowercase (which is how sentence-transformers saves
// do_lower_case).
func (s *tokenizerSpec) readNormalizer(j *jsonNormalizer) error {
	if j == nil {
		return errors.New("normalizer is not a BertNormalizer, the only one that is supported")
	}
	if j.Type == "Sequence" {
		lower := false
		for i := range j.Normalizers {
			if j.Normalizers[i].Type == "Lowercase" {
				lower = true
				continue
			}
			if err := s.readNormalizer(&j.Normalizers[i]); err != nil {
				return err
			}
		}
		s.normalizer.lower = s.normalizer.lower || lower
		return nil
	}
	if j.Type != "BertNormalizer" {
		return fmt.Errorf("normalizer.type is %s; only BertNormalizer is supported", j.Type)
	}
	lower := valueOr(j.Lowercase, true)
	s.normalizer = normalizer{
		clean:        valueOr(j.CleanText, true),
		chinese:      valueOr(j.Chinese, true),
		lower:        lower,
		stripAccents: valueOr(j.StripAccents, lower),
	}
	return nil
}

// jsonPostProcessor is the member post_processor of tokenizer.json: a TemplateProcessing or a BertProcessing.
type jsonPostProcessor struct {
	Type   string `json:"type"`
	Single []struct {
		SpecialToken *struct {
			ID string `json:"id"`
		} `json:"SpecialToken"`
		Sequence *struct {
			ID string `json:"id"`
		} `json:"Sequence"`
	} `json:"single"`
	CLS []any `json:"cls"` // token and id
	SEP []any `json:"sep"`
}

// readPostProcessor makes sure that a text stands between two tokens, and takes their names.
func (s *tokenizerSpec) readPostProcessor(j *jsonPostProcessor) error {
	if j == nil {
		return nil
	}
	switch j.Type {
	case "TemplateProcessing":
		t := j.Single
		if len(t) != 3 || t[0].SpecialToken == nil || t[1].Sequence == nil || t[2].SpecialToken == nil {
			return errors.New("post_processor.single is not [CLS] text [SEP], the only template that is supported")
		}
		s.cls, s.sep = t[0].SpecialToken.ID, t[2].SpecialToken.ID
		return nil
	case "BertProcessing":
		for _, p := range []struct {
			name  string
			value []any
			to    *string
		}{{"cls", j.CLS, &s.cls}, {"sep", j.SEP, &s.sep}} {
			if len(p.value) == 0 {
				return fmt.Errorf("post_processor.%s is empty", p.name)
			}
			token, ok := p.value[0].(string)
			if !ok {
				return fmt.Errorf("post_processor.%s does not begin with a token", p.name)
			}
			*p.to = token
		}
		return nil
	}
	return fmt.Errorf("post_processor.type is %s; TemplateProcessing and BertProcessing are supported", j.Type)
}

// jsonSpecials are the names of the special tokens, each a string or an object with the member content.
type jsonSpecials struct {
	CLS  tokenName `json:"cls_token"`
	SEP  tokenName `json:"sep_token"`
	PAD  tokenName `json:"pad_token"`
	UNK  tokenName `json:"unk_token"`
	MASK tokenName `json:"mask_token"`
}

type tokenName string

func (n *tokenName) UnmarshalJSON(raw []byte) error {
	var object struct {
		Content string `json:"content"`
	}
	if raw[0] == '{' {
		err := strictjson.Unmarshal(raw, &object)
		*n = tokenName(object.Content)
		return err
	}
	return strictjson.Unmarshal(raw, (*string)(n))
}

func (s *tokenizerSpec) readSpecialTokens(raw []byte) error {
	var j jsonSpecials
	if err := jsonfile.Unmarshal(raw, &j); err != nil {
		return err
	}
	s.setSpecials(j)
	return nil
}

func (s *tokenizerSpec) setSpecials(j jsonSpecials) {
	s.cls = cmp.Or(string(j.CLS), s.cls)
	s.sep = cmp.Or(string(j.SEP), s.sep)
	s.pad = cmp.Or(string(j.PAD), s.pad)
	s.unk = cmp.Or(string(j.UNK), s.unk)
	s.mask = cmp.Or(string(j.MASK), s.mask)
}

func (s *tokenizerSpec) readConfig(raw []byte) error {
	var j struct {
		jsonSpecials
		Class        string  `json:"tokenizer_class"`
		LowerCase    *bool   `json:"do_lower_case"`
		StripAccents *bool   `json:"strip_accents"`
		Chinese      *bool   `json:"tokenize_chinese_chars"`
		MaxLength    float64 `json:"model_max_length"` // 1e30 stands for none
	}
	if err := jsonfile.Unmarshal(raw, &j); err != nil {
		return err
	}
	s.setSpecials(j.jsonSpecials)
	if j.MaxLength >= 1 && j.MaxLength < math.MaxInt32 {
		s.maxLength = int(j.MaxLength)
	}
	switch j.Class {
	case "", "BertTokenizer", "BertTokenizerFast":
	case "PreTrainedTokenizerFast", "TokenizersBackend":
		if s.source == tokenizerJSON {
			return nil
		}
	default:
		return fmt.Errorf("tokenizer_class is %s; only BertTokenizer is supported", j.Class)
	}
	s.normalizer.lower = valueOr(j.LowerCase, true)
	s.normalizer.stripAccents = valueOr(j.StripAccents, s.normalizer.lower)
	s.normalizer.chinese = valueOr(j.Chinese, true)
	return nil
}

// mostChars bounds the length of a word that is looked for piece by piece, since the search is quadratic in it.
const mostChars = 1000

// build checks the vocabulary and makes the tokenizer of it.
func (s *tokenizerSpec) build() (*Tokenizer, error) {
	if s.maxChars < 1 || s.maxChars > mostChars {
		return nil, fmt.Errorf("model.max_input_chars_per_word is %d; 1 to %d are supported", s.maxChars, mostChars)
	}
	if err := checkIDs(s.vocab); err != nil {
		return nil, err
	}
	vocab := model.Vocab(s.vocab)
	t := &Tokenizer{
		model: wordpiece.NewWordPieceBuilder().Vocab(&vocab).UnkToken(s.unk).
			ContinuingSubwordPrefix(s.prefix).MaxInputCharsPerWord(s.maxChars).Build(),
		maxChars:       s.maxChars,
		normalize:      s.normalizer,
		modelMaxLength: s.maxLength,
	}
	if err := t.addTokens(s); err != nil {
		return nil, err
	}
	return t, nil
}

func checkIDs(vocab map[string]int) error {
	byID := make(map[int]string, len(vocab))
	for piece, id := range vocab {
		if id < 0 || id > math.MaxInt32 {
			return fmt.Errorf("id %d of %q is out of range", id, piece)
		}
		if other, ok := byID[id]; ok {
			return fmt.Errorf("%q and %q have the same id %d", min(piece, other), max(piece, other), id)
		}
		byID[id] = piece
	}
	return nil
}

// addTokens finds the special tokens, which are looked for in the text as it is whether added_tokens lists them or not,
// and the other added ones.
func (t *Tokenizer) addTokens(s *tokenizerSpec) error {
	ids := maps.Clone(s.vocab)
	for _, id := range s.vocab {
		t.size = max(t.size, id+1)
	}
	for i, a := range s.added {
		if a.Content == "" {
			return fmt.Errorf("added_tokens[%d] has no content", i)
		}
		if a.ID < 0 || a.ID > math.MaxInt32 {
			return fmt.Errorf("id %d of added token %q is out of range", a.ID, a.Content)
		}
		if id, ok := ids[a.Content]; ok && id != a.ID {
			return fmt.Errorf("added token %q has id %d, and %d elsewhere in the file", a.Content, a.ID, id)
		}
		ids[a.Content] = a.ID
		t.size = max(t.size, a.ID+1)
	}
	if err := checkIDs(ids); err != nil {
		return err
	}
	verbatim := map[string]addedToken{}
	for _, special := range []struct {
		name, content string
		to            *int32
	}{
		{"unknown", s.unk, &t.unk},
		{"class", s.cls, &t.cls},
		{"separator", s.sep, &t.sep},
		{"padding", s.pad, &t.pad},
	} {
		id, ok := ids[special.content]
		if !ok {
			return fmt.Errorf("the vocabulary lacks the %s token %s", special.name, special.content)
		}
		*special.to = int32(id)
		verbatim[special.content] = addedToken{content: special.content, id: int32(id)}
	}
	if id, ok := ids[s.mask]; ok {
		verbatim[s.mask] = addedToken{content: s.mask, id: int32(id)}
	}
	var normalized []addedToken
	for _, a := range s.added {
		token := addedToken{content: a.Content, id: int32(a.ID), singleWord: a.SingleWord}
		if !a.Normalized {
			verbatim[a.Content] = token
			continue
		}
		if token.content = string(s.normalizer.append(nil, a.Content)); token.content != "" {
			normalized = append(normalized, token)
		}
	}
	t.verbatim = newTokenSet(slices.Collect(maps.Values(verbatim)))
	t.normalized = newTokenSet(normalized)
	return nil
}

// digest leaves the length limit out, which is the model's: Save writes the one that the model has.
func digest(files []tokenizerFile) (string, error) {
	h := sha256.New()
	for _, f := range files {
		data, err := bertnet.WithTokenLimit(f.name, f.data, 0)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(h, "%s %d\n", f.name, len(data))
		h.Write(data)
	}
	return hex.EncodeToString(h.Sum(nil)[:16]), nil
}
