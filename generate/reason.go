package generate

// Reason says why a model's answer is not used as a query; "" means that it is.
type Reason string

// The reasons, in the order in which they are looked for.
const (
	DropNoPassage Reason = "the passage has no text"     // fewer than 10 characters: the model was not asked
	DropReasoning Reason = "reasoning without an answer" // or it is not certain which part is the answer
	DropTruncated Reason = "cut at the token limit"      // the end is missing
	DropEmpty     Reason = "empty"                       // or without any letter or digit
	DropLines     Reason = "several lines"               // more than one is left without preamble and code fences
	// broken UTF-8, JSON, or wrapped in more layers than a query could be
	DropGarbled    Reason = "garbled"
	DropRefusal    Reason = "a refusal"                         // "As an AI ..."
	DropReference  Reason = "speaks of the passage"             // "According to the passage": nobody searches like that
	DropTooShort   Reason = "too short"                         // in words
	DropTooLong    Reason = "too long"                          // in words
	DropScript     Reason = "another script than the passage's" // which finds another language only where the script differs
	DropRepetition Reason = "repeats itself"                    // as small models do when they get stuck
	DropExample    Reason = "copy of an example"                // of the prompt's, query or passage
	DropCopy       Reason = "copy of the passage"               // of its title, a sentence or most of one
	DropIdentifier Reason = "holds the passage's identifier"    // which every ranker would find at once
	DropDuplicate  Reason = "duplicate"                         // of an earlier query of the same passage, by Normalize
)
