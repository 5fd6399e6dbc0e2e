#pragma once
/// Settings of the whole process: for programs, which own it. Nothing else in the library touches
/// them.

namespace fmgs {

/// Makes Ctrl-C, SIGTERM and a hang-up (a closed ssh session; not under nohup) set a flag instead
/// of ending the process; a second one ends it as usual.
void catch_interrupt();
bool interrupted();

/// Opens /dev/null where a standard stream is closed: the next file that is opened would take its
/// place, and get what is printed.
void open_standard_streams();

/// Tells glibc to keep the memory that is freed instead of giving blocks of more than 32 MB, and
/// what tops the heap, back to the system: a training step asks for the same blocks as the step
/// before, and the system hands out empty pages one fault at a time. At the start of main(). Does
/// nothing with another C library.
void keep_freed_memory();

/// Keeps LibTorch from printing its own call stack with each error and each warning about a
/// connection.
void print_no_stacks();

}  // namespace fmgs
