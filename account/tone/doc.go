// Package tone is the language of call tones: what a caller hears while a call is
// set up, refused or over. Accounts carry tones as text; flows, early media and
// recordings need them as sound.
//
//	tone       = elementary | operator
//	elementary = "sine(" duration "," amplitude "," frequency { "," frequency } ")"
//	           | "silence(" duration ")"
//	           | "wav(" identifier ")"
//	operator   = "periodic(" tone { "," tone } ")"
//	           | "compound(" tone { "," tone } ")"
//	number     = [ "-" ] digits [ "." digits ] [ unit ]
//	unit       = letter { letter | digit }
//
// White space is free and units are ignored: durations are milliseconds,
// frequencies Hertz. An amplitude of 0 or more is the peak of 16-bit samples, a
// negative one a level in dBm0, where 0 dBm0 is 3.14 dB below the loudest sine
// that fits (ITU-T G.711). Periodic plays its tones one after the other, over
// and over; compound plays them at once and ends with the longest.
package tone
