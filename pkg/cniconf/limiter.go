package cniconf

import "time"

const (
	maxAnswers   = 5 // rewrites that are answered in a window
	answerWindow = time.Minute
	firstBackOff = time.Minute // how long netmend then gives way; twice as long each next time
	maxBackOff   = 30 * time.Minute
	peace        = 10 * time.Minute // without a rewrite, after which the next is again the first
)

// limiter bounds how often another's rewrite is answered, so that two programs never write one file in turns without end. The zero value is ready.
type limiter struct {
	answers []time.Time
	until   time.Time // giving way; zero: not
	backOff time.Duration
	last    time.Time
}

// blocked says how long to give way still; 0: not at all.
func (l *limiter) blocked(now time.Time) time.Duration { return max(0, l.until.Sub(now)) }

// may asks whether a rewrite may be answered.
func (l *limiter) may(now time.Time) bool {
	if l.blocked(now) > 0 {
		l.last = now
		return false
	}
	if now.Sub(l.last) >= peace {
		l.backOff = 0
	}
	l.last = now
	kept := l.answers[:0]
	for _, t := range l.answers {
		if now.Sub(t) < answerWindow {
			kept = append(kept, t)
		}
	}
	l.answers = kept
	if len(l.answers) < maxAnswers {
		return true
	}
	l.answers = nil
	l.backOff = min(max(firstBackOff, 2*l.backOff), maxBackOff)
	l.until = now.Add(l.backOff)
	return false
}

// answered counts an answer that was given.
func (l *limiter) answered(now time.Time) { l.answers = append(l.answers, now) }
