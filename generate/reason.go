package generate

// Reason says why a model's answer is not used as a query; "" means that it is.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	dropNoPassage Reason = "the passage has no text"     // fewer than 10 characters: the model was not asked
	dropReasoning Reason = "reasoning without an answer" // or it is not certain which part is the answer
	dropTruncated Reason = "cut at the token limit"      // the end is missing
	dropEmpty     Reason = "empty"                       // or without any letter or digit
	dropLines     Reason = "several lines"               // more than one is left without preamble and code fences
	// broken UTF-8, JSON, or wrapped in more layers than a query could be
	dropGarbled    Reason = "garbled"
	dropRefusal    Reason = "a refusal"                         // "As an AI ..."
	dropReference  Reason = "speaks of the passage"             // "According to the passage": nobody searches like that
	dropTooShort   Reason = "too short"                         // in words
	dropTooLong    Reason = "too long"                          // in words
	dropScript     Reason = "another script than the passage's" // finds another language where the script differs
	dropRepetition Reason = "repeats itself"                    // as small models do when they get stuck
	dropExample    Reason = "copy of an example"                // of the prompt's, query or passage
	dropCopy       Reason = "copy of the passage"               // of its title, a sentence or most of one
	dropIdentifier Reason = "holds the passage's identifier"    // which every ranker would find at once
	dropDuplicate  Reason = "duplicate"                         // of an earlier query of the same passage, by Normalize
)
