package generate

import (
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// sentencesOf splits a text into its sentences, in order, each on one line. It joins wrapped lines, takes items of
// lists and headings for themselves, leaves out code blocks (indented or fenced), and does not take the dots of
// abbreviations, numbers, initials and identifiers for ends. What holds no letter is no sentence.
func sentencesOf(text string) []string {
	var sentences []string
	for _, block := range blocks(text) {
		sentences = append(sentences, splitBlock(block)...)
	}
	return sentences
}

var (
	listMarker = regexp.MustCompile(`^\s*(?:[-*+•‣·–]|\(?\d{1,3}[.)]|\(?[a-z]\))\s+`)
	heading    = regexp.MustCompile(`^#{1,6}\s+`)
)

// blocks returns the paragraphs, list items and headings of a text, each on one line.
func blocks(text string) []string {
	var out, current []string
	flush := func() {
		if len(current) > 0 {
			out = append(out, strings.Join(strings.Fields(strings.Join(current, " ")), " "))
			current = nil
		}
	}
	fenced, inList := false, false
	for _, line := range dedent(text) {
		trimmed := strings.TrimSpace(line)
		switch marker := listMarker.FindString(line); {
		case strings.HasPrefix(trimmed, "```") || strings.HasPrefix(trimmed, "~~~"):
			flush()
			fenced = !fenced
		case fenced:
		case trimmed == "":
			flush()
			inList = false
		case marker != "":
			flush()
			current, inList = []string{line[len(marker):]}, true
		case heading.MatchString(line):
			flush()
			out = append(out, heading.ReplaceAllString(line, ""))
		case isIndented(line) && !inList:
			flush()
		case len(current) == 1 && looksLikeHeading(current[0], trimmed):
			flush()
			current = []string{line}
		default:
			current = append(current, line)
		}
	}
	flush()
	return out
}

// dedent returns the lines without the indentation that all of them share.
func dedent(text string) []string {
	lines := strings.Split(strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text), "\n")
	shared, first := "", true
	for _, line := range lines {
		switch {
		case strings.TrimSpace(line) == "":
			continue
		case first:
			shared, first = line[:len(line)-len(strings.TrimLeft(line, " \t"))], false
		}
		for !strings.HasPrefix(line, shared) {
			shared = shared[:len(shared)-1]
		}
	}
	for i, line := range lines {
		lines[i] = strings.TrimPrefix(line, shared)
	}
	return lines
}

func isIndented(line string) bool {
	return strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "    ")
}

// looksLikeHeading reports whether a first line is a heading of the next and not its beginning: short, without an end,
// the next with a capital.
func looksLikeHeading(line, next string) bool {
	const longest = 50
	line = strings.TrimSpace(line)
	last, _ := utf8.DecodeLastRuneInString(line)
	first, _ := utf8.DecodeRuneInString(next)
	return utf8.RuneCountInString(line) < longest && (isWordRune(last) || last == ')') && unicode.IsUpper(first)
}

// splitBlock splits one line of text.
func splitBlock(block string) []string {
	var sentences []string
	start := 0
	add := func(end int) {
		s := strings.TrimSpace(block[start:end])
		if strings.ContainsFunc(s, unicode.IsLetter) {
			sentences = append(sentences, s)
		}
		start = end
	}
	lowerCase := !strings.ContainsFunc(block, unicode.IsUpper)
	for i := 0; i < len(block); {
		r, size := utf8.DecodeRuneInString(block[i:])
		end := i + size
		switch {
		case strings.ContainsRune("。！？", r):
			add(end)
		case strings.ContainsRune(".!?…", r):
			for end < len(block) && strings.ContainsRune(".!?…", rune(block[end])) {
				end++
			}
			end += closers(block[end:])
			if endsSentence(block, i, end, lowerCase) {
				add(end)
			}
		}
		i = end
	}
	add(len(block))
	return sentences
}

// closers returns the length of the quotes and brackets that close with a sentence.
func closers(rest string) int {
	return len(rest) - len(strings.TrimLeft(rest, `"'”’)]`))
}

// endsSentence reports whether the punctuation block[at:end] ends a sentence. lowerCase says that the whole block is
// written in lower case.
func endsSentence(block string, at, end int, lowerCase bool) bool {
	if end == len(block) {
		return true
	}
	if block[end] != ' ' {
		return false
	}
	if at > 0 && block[at-1] == ' ' { // " ." as tokenised text has it
		return true
	}
	next := strings.TrimLeft(block[end:], ` "'“‘([`)
	first, _ := utf8.DecodeRuneInString(next)
	if unicode.IsLower(first) && !lowerCase {
		return false
	}
	if block[at] != '.' {
		return true
	}
	word := strings.ToLower(lastWord(block[:at]))
	switch {
	case neverLast[word]:
		return false
	case beforeNumber[word]:
		return !unicode.IsDigit(first)
	case seldomLast[word] || isDotted(word) || utf8.RuneCountInString(word) == 1 && !unicode.IsDigit([]rune(word)[0]):
		// "the U.S. The" ends, "the U.S. Senate" does not, nor "J. Smith": a word that begins sentences decides.
		nextWord, _, _ := strings.Cut(next, " ")
		return isStopWord(strings.TrimRight(nextWord, ",.;:"))
	}
	return true
}

var (
	neverLast    = set("dr mr mrs ms prof e.g i.e eg ie cf vs viz ca approx al resp incl esp")
	beforeNumber = set("no nos fig figs eq eqs ref refs vol pp p sec ch art jan feb mar apr jun jul aug sep sept oct nov dec")
	seldomLast   = set("etc inc ltd co corp jr sr st ph.d a.m p.m dept univ")
)

// lastWord returns what follows the last space, without opening brackets and quotes.
func lastWord(text string) string {
	return strings.TrimLeft(text[strings.LastIndexByte(text, ' ')+1:], `"'“‘([`)
}

// isDotted tells U.S and m.w from io.EOF: single letters between dots.
func isDotted(word string) bool {
	parts := strings.Split(word, ".")
	for _, p := range parts {
		if utf8.RuneCountInString(p) != 1 {
			return false
		}
	}
	return len(parts) > 1
}
