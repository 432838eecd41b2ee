package bert

import (
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
	"github.com/retort-ir/retort/internal/modelfolder"
	"github.com/retort-ir/retort/internal/regular"
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

// LoadTokenizer reads the tokenizer of a model folder as transformers 5 does: tokenizer.json, or vocab.txt where there
// is none. Of a BertTokenizer, which a folder that names no tokenizer_class has too, tokenizer.json gives the
// vocabulary and the added tokens alone: do_lower_case (true where it is left out), strip_accents,
// tokenize_chinese_chars and the special tokens are those of tokenizer_config.json and special_tokens_map.json. Of a
// general class (PreTrainedTokenizerFast, TokenizersBackend) tokenizer.json gives all but further special tokens and
// the side that is cut.
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
	cls, sep   string
	pad, unk   string
	mask       string
	maxLength  *int // model_max_length; nil where no file gives one
	cutLeft    bool // a text that is too long loses its beginning

	general bool // the class takes tokenizer.json as it is
	added   []jsonToken
	other   []jsonToken // of added_tokens_decoder, or of added_tokens.json
	decoder bool        // other are of added_tokens_decoder
	names   specialNames
	notes   []string

	templateIDs map[string]int // that post_processor gives the first and the last token; nil where it does not count
}

func readSpec(dir string, files []tokenizerFile) (*tokenizerSpec, error) {
	data := map[string][]byte{}
	for _, f := range files {
		data[f.name] = f.data
	}
	s := &tokenizerSpec{
		prefix: "##", maxChars: usualChars,
		cls: "[CLS]", sep: "[SEP]", pad: "[PAD]", unk: "[UNK]", mask: "[MASK]",
	}
	vocabulary, read := tokenizerJSON, s.readTokenizerJSON
	if data[tokenizerJSON] == nil {
		vocabulary, read = vocabTXT, s.readVocab
	}
	if data[vocabulary] == nil {
		return nil, fmt.Errorf("%s: neither %s nor %s", dir, tokenizerJSON, vocabTXT)
	}
	settings := map[string]modelfolder.Settings{}
	for _, name := range []string{tokenizerConfig, specialTokens, addedTokens} {
		if data[name] == nil {
			continue
		}
		var err error
		if settings[name], err = modelfolder.Parse(filepath.Join(dir, name), data[name]); err != nil {
			return nil, err
		}
	}
	if err := s.readClass(settings[tokenizerConfig]); err != nil {
		return nil, err
	}
	if err := read(data[vocabulary]); err != nil {
		return nil, fmt.Errorf("%s: %w", filepath.Join(dir, vocabulary), err)
	}
	written := *s
	if err := s.readConfig(settings[tokenizerConfig], settings[specialTokens], settings[addedTokens]); err != nil {
		return nil, err
	}
	if s.source == tokenizerJSON {
		s.noteUnused(filepath.Join(dir, tokenizerJSON), written)
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
	return nil
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
		Truncation   *jsonDirection  `json:"truncation"`
		Padding      *jsonDirection  `json:"padding"`
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
	for i := range s.added {
		s.added[i].source = "added_tokens of " + tokenizerJSON
	}
	if err := s.readDirections(j.Truncation, j.Padding); err != nil {
		return err
	}
	if j.Model.Unk != nil {
		s.unk = *j.Model.Unk
	}
	if j.Model.Prefix != nil {
		s.prefix = *j.Model.Prefix
	}
	if j.Model.MaxChars != nil {
		s.maxChars = *j.Model.MaxChars
	}
	if s.maxChars < 1 || s.maxChars > mostChars {
		return fmt.Errorf("model.max_input_chars_per_word is %d; 1 to %d are supported", s.maxChars, mostChars)
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
		SpecialToken *jsonPiece `json:"SpecialToken"`
		Sequence     *jsonPiece `json:"Sequence"`
	} `json:"single"`
	SpecialTokens map[string]struct {
		IDs []int `json:"ids"`
	} `json:"special_tokens"`
	CLS []json.RawMessage `json:"cls"` // token and id
	SEP []json.RawMessage `json:"sep"`
}

// jsonPiece is a piece of a template.
type jsonPiece struct {
	ID     string `json:"id"`
	TypeID int    `json:"type_id"`
}

// readPostProcessor makes sure that a text stands between two tokens, and takes their names. The class BertTokenizer
// makes its own template.
func (s *tokenizerSpec) readPostProcessor(j *jsonPostProcessor) error {
	if j == nil {
		if s.general {
			return errors.New("post_processor is missing, so that no [CLS] and [SEP] would stand around a text; add it")
		}
		return nil
	}
	switch j.Type {
	case "TemplateProcessing":
		return s.readTemplate(j)
	case "BertProcessing":
		return s.readBertProcessing(j)
	}
	return fmt.Errorf("post_processor.type is %s; TemplateProcessing and BertProcessing are supported", j.Type)
}

func (s *tokenizerSpec) readTemplate(j *jsonPostProcessor) error {
	t := j.Single
	if len(t) != 3 || t[0].SpecialToken == nil || t[1].Sequence == nil || t[2].SpecialToken == nil {
		return errors.New("post_processor.single is not [CLS] text [SEP], the only template that is supported")
	}
	s.cls, s.sep = t[0].SpecialToken.ID, t[2].SpecialToken.ID
	if !s.general {
		return nil
	}
	for i, piece := range []*jsonPiece{t[0].SpecialToken, t[1].Sequence, t[2].SpecialToken} {
		if piece.TypeID != 0 {
			return fmt.Errorf("post_processor.single[%d].type_id is %d; only 0 is supported", i, piece.TypeID)
		}
	}
	for _, name := range []string{s.cls, s.sep} {
		token, ok := j.SpecialTokens[name]
		if !ok || len(token.IDs) != 1 {
			return fmt.Errorf("post_processor.special_tokens gives %s the ids %v; one is needed", name, token.IDs)
		}
		s.addTemplateID(name, token.IDs[0])
	}
	return nil
}

func (s *tokenizerSpec) readBertProcessing(j *jsonPostProcessor) error {
	for _, p := range []struct {
		name  string
		value []json.RawMessage
		to    *string
	}{{"cls", j.CLS, &s.cls}, {"sep", j.SEP, &s.sep}} {
		var id int
		if len(p.value) != 2 || jsonfile.Unmarshal(p.value[0], p.to) != nil || jsonfile.Unmarshal(p.value[1], &id) != nil {
			return fmt.Errorf("post_processor.%s is not a token and its id", p.name)
		}
		if s.general {
			s.addTemplateID(*p.to, id)
		}
	}
	return nil
}

func (s *tokenizerSpec) addTemplateID(name string, id int) {
	if s.templateIDs == nil {
		s.templateIDs = map[string]int{}
	}
	s.templateIDs[name] = id
}

// jsonDirection is the side of truncation or padding in tokenizer.json. The lengths there are set anew for each call.
type jsonDirection struct {
	Direction string `json:"direction"`
	PadToken  string `json:"pad_token"`
}

func (s *tokenizerSpec) readDirections(truncation, padding *jsonDirection) error {
	if truncation != nil {
		switch truncation.Direction {
		case "Left":
			s.cutLeft = true
		case "Right", "": // folders of before tokenizers 0.11 have no direction, which is Right
		default:
			return fmt.Errorf("truncation.direction is %q; Left and Right are supported", truncation.Direction)
		}
	}
	if padding == nil {
		return nil
	}
	if padding.Direction != "Right" {
		return fmt.Errorf("padding.direction is %q, which is not supported; %s", padding.Direction, leftPadding)
	}
	if s.general && padding.PadToken != "" {
		s.pad = padding.PadToken
	}
	return nil
}

// readClass finds out how much of tokenizer.json counts.
func (s *tokenizerSpec) readClass(config modelfolder.Settings) error {
	var class string
	if _, err := config.Get("tokenizer_class", &class); err != nil {
		return err
	}
	switch class {
	case "", "BertTokenizer", "BertTokenizerFast":
	case "PreTrainedTokenizerFast", "TokenizersBackend":
		s.general = true
	default:
		return config.Errorf("tokenizer_class", "is %s; only BertTokenizer, PreTrainedTokenizerFast and TokenizersBackend are supported", class)
	}
	return nil
}

// readConfig reads tokenizer_config.json, and special_tokens_map.json and added_tokens.json, which count where it has
// no added_tokens_decoder.
func (s *tokenizerSpec) readConfig(config, specialsMap, added modelfolder.Settings) error {
	if s.general && s.source != tokenizerJSON {
		return config.Errorf("tokenizer_class", "needs %s, which the folder lacks", tokenizerJSON)
	}
	s.decoder = config.Has("added_tokens_decoder")
	if s.decoder {
		specialsMap, added = modelfolder.Settings{}, modelfolder.Settings{}
	}
	var err error
	if s.names, err = readSpecialNames(config, specialsMap); err != nil {
		return err
	}
	if s.decoder {
		s.other, err = readDecoder(config)
	} else {
		s.other, err = readAddedTokens(added, s.names)
	}
	if err != nil {
		return err
	}
	if !s.general {
		s.prefix, s.maxChars, s.cls, s.sep, s.unk = "##", usualChars, "[CLS]", "[SEP]", "[UNK]"
	}
	if err := s.setSpecials(); err != nil {
		return err
	}
	if err := s.checkConfig(config); err != nil {
		return err
	}
	if err := s.checkConfig(specialsMap); err != nil {
		return err
	}
	return s.readSwitches(tokenizerSettings{config, specialsMap})
}

// noteUnused says what tokenizer.json says and a BertTokenizer does not take from it.
func (s *tokenizerSpec) noteUnused(path string, written tokenizerSpec) {
	for _, member := range []struct {
		name string
		same bool
	}{
		{"normalizer", s.normalizer == written.normalizer},
		{"post_processor", s.cls == written.cls && s.sep == written.sep},
		{"model.unk_token", s.unk == written.unk},
		{"model.continuing_subword_prefix", s.prefix == written.prefix},
		{"model.max_input_chars_per_word", s.maxChars == written.maxChars},
	} {
		if !member.same {
			s.notes = append(s.notes, fmt.Sprintf("%s: %s says something else than %s: the BertTokenizer's value counts, as in transformers 5",
				path, member.name, tokenizerConfig))
		}
	}
}

func (s *tokenizerSpec) checkConfig(file modelfolder.Settings) error {
	var named []string
	for _, key := range file.Keys() {
		if strings.HasSuffix(key, "_token") && (isToken(file.Raw(key)) || slices.Contains(namedTokens, key)) {
			named = append(named, key)
		}
	}
	unknown, err := tokenizerSchema.Check(file.Without(named...))
	if len(unknown) > 0 {
		s.notes = append(s.notes, unknownNote(file, unknown))
	}
	return err
}

// tokenizerSettings are the files that set the tokenizer's switches.
type tokenizerSettings struct{ config, specialsMap modelfolder.Settings }

// of returns the file whose value of a key counts: special_tokens_map.json wins, with a null too.
func (f tokenizerSettings) of(key string) modelfolder.Settings {
	if f.specialsMap.Has(key) {
		return f.specialsMap
	}
	return f.config
}

// get reads the value of a key that counts into v.
func (f tokenizerSettings) get(key string, v any) error {
	_, err := f.of(key).Get(key, v)
	return err
}

// readSwitches reads what is neither token nor class.
func (s *tokenizerSpec) readSwitches(f tokenizerSettings) error {
	if err := s.readMaxLength(f); err != nil {
		return err
	}
	var side *string
	const sideKey = "truncation_side"
	if err := f.get(sideKey, &side); err != nil {
		return err
	}
	if file := f.of(sideKey); file.Has(sideKey) {
		if side == nil || *side != "left" && *side != "right" {
			return file.Errorf(sideKey, "is %s; left and right are supported", file.Raw(sideKey))
		}
		s.cutLeft = *side == "left"
	}
	var inputs []string
	const inputsKey = "model_input_names"
	if err := f.get(inputsKey, &inputs); err != nil {
		return err
	}
	if file := f.of(inputsKey); file.IsSet(inputsKey) && !slices.Contains(inputs, "attention_mask") {
		return file.Errorf(inputsKey, "lacks attention_mask: padding would count as text; add it")
	}
	if s.general {
		return nil
	}
	return s.readNormalization(f)
}

// readMaxLength reads model_max_length, of which max_len is the older name; 1e30 stands for none.
func (s *tokenizerSpec) readMaxLength(f tokenizerSettings) error {
	key := "model_max_length"
	if !f.of(key).Has(key) {
		key = "max_len"
	}
	var maxLength *float64
	if err := f.get(key, &maxLength); err != nil {
		return err
	}
	if maxLength == nil || *maxLength >= math.MaxInt32 {
		return nil
	}
	n := int(*maxLength)
	if float64(n) != *maxLength {
		return f.of(key).Errorf(key, "is %v; a whole number is needed", *maxLength)
	}
	s.maxLength = &n
	return nil
}

// readNormalization sets the normalizer of a BertTokenizer.
func (s *tokenizerSpec) readNormalization(f tokenizerSettings) error {
	var lower, accents, chinese *bool
	for key, to := range map[string]**bool{
		"do_lower_case": &lower, "strip_accents": &accents, "tokenize_chinese_chars": &chinese,
	} {
		if err := f.get(key, to); err != nil {
			return err
		}
	}
	s.normalizer = normalizer{clean: true, lower: valueOr(lower, true), chinese: valueOr(chinese, true)}
	s.normalizer.stripAccents = valueOr(accents, s.normalizer.lower)
	return nil
}

// setSpecials takes the names of the tokens that every BERT needs. In a general class the template of tokenizer.json names
// the first and the last token.
func (s *tokenizerSpec) setSpecials() error {
	to := map[string]*string{"pad_token": &s.pad}
	if !s.general {
		to = map[string]*string{
			"pad_token": &s.pad, "unk_token": &s.unk, "sep_token": &s.sep, "cls_token": &s.cls,
			"mask_token": &s.mask,
		}
	}
	for _, key := range slices.Sorted(maps.Keys(to)) {
		if token, ok := s.names.named[key]; ok {
			*to[key] = token.Content
		}
		// In place of [CLS] and [SEP] transformers would take the ids 2 and 3, whatever these are.
		if file, ok := s.names.nulls[key]; ok && !s.general && key != "mask_token" {
			return file.Errorf(key, "is null; name the token")
		}
	}
	return nil
}

// listed returns the tokens that files list, in the order in which transformers adds the tokens.
func (s *tokenizerSpec) listed() []jsonToken {
	if s.general {
		return slices.Concat(s.added, s.other)
	}
	if s.decoder {
		return s.other
	}
	byID := map[int]jsonToken{}
	for _, token := range slices.Concat(s.other, s.added) {
		byID[token.ID] = token
	}
	var tokens []jsonToken
	for _, id := range slices.Sorted(maps.Keys(byID)) {
		tokens = append(tokens, byID[id])
	}
	return tokens
}

// specials returns the special tokens. A BertTokenizer has five whether a file names them or not.
func (s *tokenizerSpec) specials() []jsonToken {
	names := specialNames{named: maps.Clone(s.names.named), nulls: s.names.nulls, extra: s.names.extra}
	if !s.general {
		for key, content := range map[string]string{
			"unk_token": s.unk, "sep_token": s.sep, "pad_token": s.pad, "cls_token": s.cls, "mask_token": s.mask,
		} {
			_, isNull := names.nulls[key]
			if _, ok := names.named[key]; !ok && !isNull {
				names.named[key] = jsonToken{Content: content, Special: true}
			}
		}
	}
	return names.list()
}

// mostChars bounds the length of a word that is looked for piece by piece, since the search is quadratic in it.
const (
	mostChars  = 1000
	usualChars = 100
)

// build checks the vocabulary and makes the tokenizer of it.
func (s *tokenizerSpec) build() (*Tokenizer, error) {
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
		cutLeft:        s.cutLeft,
		notes:          s.notes,
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
