// Package language tells the language of a text by its script and by its stop words.
package language

import (
	"math/bits"
	"strings"
	"unicode"
	"unicode/utf8"

	_ "embed" // stopwords.txt
)

// The languages that are told by their script alone, and English.
const (
	English  = "english"
	Chinese  = "chinese"
	Japanese = "japanese"
	Korean   = "korean"
	Thai     = "thai"
	Lao      = "lao"
	Khmer    = "khmer"
	Burmese  = "burmese"
)

//go:embed stopwords.txt
var stopWordsFile string

var (
	// names are the languages that stop words tell apart.
	names []string
	// stopWords are the stop words of each language.
	stopWords = map[string]map[string]bool{}
	// languagesOf has for a stop word bit i where it is one of the language names[i].
	languagesOf = map[string]uint32{}
)

func init() {
	for line := range strings.Lines(stopWordsFile) {
		if strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.Fields(line)
		words := make(map[string]bool, len(fields)-1)
		for _, listed := range fields[1:] {
			for _, w := range []string{listed, commas.Replace(listed)} {
				words[w] = true
				languagesOf[w] |= 1 << len(names)
			}
		}
		stopWords[fields[0]] = words
		names = append(names, fields[0])
	}
	for name, list := range ownStopWords {
		words := map[string]bool{}
		for _, w := range strings.Fields(list) {
			words[w] = true
		}
		stopWords[name] = words
	}
}

// commas writes Romanian as it is written today: the list is older than these letters.
var commas = strings.NewReplacer("ş", "ș", "ţ", "ț")

// ownStopWords are of languages that need none to be told.
var ownStopWords = map[string]string{
	// What separates the words of a text: particles, conjunctions and pronouns.
	Chinese: `的 了 和 与 與 及 或 是 在 把 被 吗 嗎 呢 吧 也 都 就 很 请 請 里 裡 裏 这 這 那 让 讓 从 從 而 又 地 得 着 著 使 用 其 由 于 於 以 并 為 为 可以 不能 ` +
		`因为 因為 所以 如果 但是 然后 然後 以及 或者 应当 應當 应该 應該 需要 进行 進行 通过 通過 其中 这个 這個 那个 那個 一个 一個 一种 一種 我们 我們 他们 他們 她们 ` +
		`它们 它們 没有 沒有 不要 不会 不會 只有 还有 還有 之后 之後 之前 以后 以後 以前 以上 以下 时候 時候 每个 每個 许多 許多 一些 已经 已經 必须 必須 能够 能夠 可能`,
	Japanese: `こと もの これ それ あれ ため とき よう ほう ところ どこ ここ そこ`,
	Thai:     `และ ของ หรือ โดย แล้ว ซึ่ง เพื่อ ต้อง ด้วย ที่ จาก เป็น ได้ ไม่ ให้ กับ ว่า นี้ นั้น เมื่อ จะ ใน ควร ทุก ก่อน หลัง`,
	Korean:   `및 그리고 또는 하지만 그러나 이 그 저 수 것 등 때 더 안 못 또 매우 한 후 전 위해 있는 하는 한다 있다 합니다 있습니다 된다 됩니다 않는다 없다`,
}

// StopWords returns the stop words of a language, in lower case; nil where there are none. Nobody may change them.
func StopWords(name string) map[string]bool { return stopWords[name] }

// IsUnspaced reports whether a character is of a script that puts no spaces between words.
func IsUnspaced(r rune) bool {
	return r >= 0xE00 && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer,
		unicode.Myanmar)
}

// WritesUnspaced reports whether a language puts no spaces between words.
func WritesUnspaced(name string) bool {
	switch name {
	case Chinese, Japanese, Thai, Lao, Khmer, Burmese:
		return true
	}
	return false
}

// IsAlphabetUnspaced reports whether a character is of a script of IsUnspaced that is neither Chinese nor Japanese.
func IsAlphabetUnspaced(r rune) bool { return IsUnspaced(r) && !isDense(r) }

// WritesLatin reports whether a language is written in Latin letters.
func WritesLatin(name string) bool {
	switch name {
	case "", Korean, "arabic", "persian", "russian", "sorani":
		return false
	}
	return !WritesUnspaced(name)
}

// scripts are the scripts that tell a language. Japanese is written in the first three.
var scripts = []struct {
	table    *unicode.RangeTable
	language string
}{
	{unicode.Han, Chinese},
	{unicode.Hiragana, Japanese},
	{unicode.Katakana, Japanese},
	{unicode.Hangul, Korean},
	{unicode.Thai, Thai},
	{unicode.Lao, Lao},
	{unicode.Khmer, Khmer},
	{unicode.Myanmar, Burmese},
}

// Of returns the language of a text, or "" where the text does not say enough. latin says whether half of the letters
// are Latin, so that a text of which no more is known can be English.
func Of(text string) (name string, latin bool) {
	var letters, latinLetters int
	of := make([]int, len(scripts))
	for _, r := range text {
		switch {
		case r < 0x80:
			if 'a' <= r|0x20 && r|0x20 <= 'z' {
				letters++
				latinLetters++
			}
		case !unicode.IsLetter(r):
		case r < 0x250 || unicode.Is(unicode.Latin, r):
			letters++
			latinLetters++
		default:
			letters++
			for i, s := range scripts {
				if unicode.Is(s.table, r) {
					of[i]++
					break
				}
			}
		}
	}
	latin = 2*latinLetters >= letters
	han, kana := of[0], of[1]+of[2]
	if 2*(han+kana) > letters {
		if kana*kanaShare > han+kana {
			return Japanese, false
		}
		return Chinese, false
	}
	for i := 3; i < len(scripts); i++ {
		if 2*of[i] > letters {
			return scripts[i].language, false
		}
	}
	return byStopWords(text), latin
}

// kanaShare is how many characters of Japanese have one kana among them at least. Chinese has hardly any.
const kanaShare = 12

// Below these, stop words of another language than English may be names and chance.
const (
	fewestHits = 2
	hitShare   = 8 // words that have one stop word among them at least
)

// byStopWords returns the language with most stop words in the text; "" where two have as many or none has enough.
func byStopWords(text string) string {
	hits := make([]int, len(names))
	words := 0
	for word := range strings.FieldsFuncSeq(text, func(r rune) bool { return !isWordRune(r) }) {
		words++
		for set := languagesOf[strings.ToLower(word)]; set != 0; set &= set - 1 {
			hits[bits.TrailingZeros32(set)]++
		}
	}
	best, second := 0, -1
	for i := 1; i < len(hits); i++ {
		switch {
		case hits[i] > hits[best]:
			best, second = i, best
		case second < 0 || hits[i] > hits[second]:
			second = i
		}
	}
	if hits[best] < fewestHits || hits[best]*hitShare < words || hits[best] == hits[second] {
		return ""
	}
	return names[best]
}

func isWordRune(r rune) bool {
	if r < 0x80 {
		return 'a' <= r|0x20 && r|0x20 <= 'z'
	}
	return unicode.IsLetter(r) || unicode.IsMark(r)
}

// CountWords counts what spaces separate and has a letter or digit. Scripts without spaces count by the usual length of
// their words: two characters of Chinese or Japanese are a word, four of Thai, Lao, Khmer or Burmese, with their marks.
func CountWords(text string) int {
	const quarters = 4
	words, unspaced := 0, 0
	for _, field := range strings.Fields(text) {
		spaced := false
		for _, r := range field {
			switch {
			case isDense(r):
				unspaced += 2
			case IsUnspaced(r):
				unspaced++
			case unicode.IsLetter(r) || unicode.IsDigit(r):
				spaced = true
			}
		}
		if spaced {
			words++
		}
	}
	return words + (unspaced+quarters-1)/quarters
}

// isDense tells Chinese and Japanese characters from those of the alphabets of IsUnspaced.
func isDense(r rune) bool { return unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana) }

// SplitUnspaced puts a space behind every character of a script without spaces, so that each is a word of its own.
func SplitUnspaced(text string) string {
	if !strings.ContainsFunc(text, IsUnspaced) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		if IsUnspaced(r) {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
		if IsUnspaced(r) {
			b.WriteByte(' ')
		}
	}
	return b.String()
}

// PairUnspaced joins each of the words that is one character of a script without spaces with the next such word: a pair
// says about as much as a word of other scripts. The last of a row is left out, unless it stands alone.
func PairUnspaced(words []string) []string {
	pairs := make([]string, 0, len(words))
	for i, w := range words {
		switch {
		case !isOneUnspaced(w):
			pairs = append(pairs, w)
		case i+1 < len(words) && isOneUnspaced(words[i+1]):
			pairs = append(pairs, w+words[i+1])
		case i == 0 || !isOneUnspaced(words[i-1]):
			pairs = append(pairs, w)
		}
	}
	return pairs
}

func isOneUnspaced(word string) bool {
	r, size := utf8.DecodeRuneInString(word)
	return size == len(word) && IsUnspaced(r)
}
