package cniconf

import (
	"context"
	"fmt"
	"path/filepath"
)

// Op is what a step does.
type Op string

// The steps that there are.
const (
	Copy   Op = "copy"   // the program from Path to To
	Write  Op = "write"  // Path, from Old to New; no Old: it did not exist
	Rename Op = "rename" // Path to To
	Remove Op = "remove" // Path
)

// Step is one change of a file.
type Step struct {
	Op       Op
	Path, To string
	Old, New []byte // of a configuration

	owner   fileOwner
	record  *record // to be on the disk before
	version string  // of CNI that the program must speak before a chain names it
}

// plan is what is to be done, made from one look at the files. It is never nil.
type plan struct {
	out   Outcome
	file  string // the outcome's File and Chain as they are without a step
	chain []string
	then  *record // to be written when all steps are done; nil: as it is
}

// unchanged says that the chain stays as it was found.
func (p *plan) unchanged() { p.out.File, p.out.Chain = p.file, p.chain }

func (p *plan) outcome() *Outcome { return &p.out }

func (p *plan) add(s ...Step) { p.out.Steps = append(p.out.Steps, s...) }

func (p *plan) warn(format string, args ...any) {
	p.out.Warnings = append(p.out.Warnings, fmt.Sprintf(format, args...))
}

// execute does the steps in their order and stops at the first that fails. The outcome's steps are then those that were done.
func (p *plan) execute(ctx context.Context, k *Keeper) error {
	tidy(k.o.ConfDir, k.o.BinDir, k.o.StateDir)
	for i, s := range p.out.Steps {
		err := ctx.Err()
		if err == nil && s.record != nil {
			err = k.save(s.record)
			k.step("recorded " + filepath.Base(s.Path))
		}
		if err == nil {
			err = k.do(ctx, s)
		}
		if err != nil {
			p.out.Steps = p.out.Steps[:i]
			p.unchanged()
			return fmt.Errorf("%s %s: %w", s.Op, s.Path, err)
		}
	}
	if p.then != nil {
		return k.save(p.then)
	}
	return nil
}

func (k *Keeper) do(ctx context.Context, s Step) error {
	switch s.Op {
	case Copy:
		return k.copyProgram(ctx)
	case Write:
		if s.version != "" {
			if err := probe(ctx, k.program(), s.version); err != nil {
				return err
			}
		}
		if s.Old == nil && exists(s.Path) {
			return errChanged
		}
		return k.put(s.Path, s.New, s.Old, s.owner)
	case Rename:
		return k.rename(s.Path, s.To, s.Old)
	default:
		if s.Old != nil {
			if err := same(s.Path, s.Old); err != nil {
				return err
			}
		}
		return k.unlink(s.Path)
	}
}
