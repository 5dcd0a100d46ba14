#!/usr/bin/perl -w
# The guest's side of a kept session: commands and files over one byte stream, many requests at once.
#
#     guest_server.pl [--daemon] /dev/virtio-ports/NAME     a virtio-serial port; the host comes and goes
#     guest_server.pl --accept FD                           an inherited listening socket; the host comes and goes
#
# The wire is described in docs/guest-server.md. Only the perl interpreter is used, not one module: each would be
# paid for in memory, and every fork copies the page tables of that memory. Hence the numbers of Linux's system calls.
use strict;

my $VERSION    = 1;
my $MAX_FRAME  = 1 << 20;    # bytes of payload
my $WINDOW     = 1 << 20;    # bytes a request may send ahead of our grants
my $PIECE      = 1 << 16;    # bytes read from a pipe or file at a time; a pipe holds as much
my $ROOM       = 1 << 18;    # bytes waiting for the host above which no pipe or file is read
my $FLOOD      = 1 << 22;    # the same, above which not even the host is read: it asks and does not listen
my $LINGER     = 1;          # seconds that background children may hold a finished command's streams
my $IDLE       = 5;          # seconds between looks for a signal that came just before select()
my $SYNC       = "\xff\x00" x 7 . "\xff\xfe";    # from the host, then 16 bytes of token; never inside a frame
my $SYNCED     = "\xff\x00" x 7 . "\xff\xfd";    # the answer, then the same token
my ($EINTR, $EAGAIN, $EIO, $EISDIR, $EINVAL, $ENOSYS, $ECANCELED) = (4, 11, 5, 21, 22, 38, 125);
my ($O_WRONLY, $O_CREAT, $O_EXCL, $O_RDWR, $O_NONBLOCK, $F_SETFD, $F_SETFL) = (1, 0100, 0200, 2, 04000, 2, 4);
my ($WNOHANG, $CLOCK_MONOTONIC, $PR_SET_CHILD_SUBREAPER, $PIDFD_OPEN) = (1, 1, 36, 434);

my ($SCHED_BATCH, $SCHED_RESET_ON_FORK) = (3, 0x40000000);

# ELF machine => the numbers of its system calls
my $GENERIC = [113, 112, 167, 157, 24, 57, 119];
my %SYSCALLS = (62 => [228, 227, 157, 112, 292, 3, 144], 183 => $GENERIC, 243 => $GENERIC);
my ($CLOCK_GETTIME, $CLOCK_SETTIME, $PRCTL, $SETSID, $DUP3, $CLOSE, $SCHED_SETSCHEDULER) = @{ $SYSCALLS{elf_machine()}
    or die "guest_server: no system call numbers for this processor\n" };

my ($port, $listener);
open my $null, '<', '/dev/null' or die "guest_server: /dev/null: $!\n";
my ($here, $synced, $delay) = (0, 0, 0);    # host connected; token seen; seconds to wait before believing it is back
my ($in, $out) = ('', '');                  # bytes received and not parsed; bytes to send
my (%request, %by_pid, %get);               # by request id; commands by process id; file reads by request id
my (%reader, %writer);                      # file number => [function, arguments]
my ($readable, $writable) = ('', '');       # the same as select() wants it
my ($terminated, $serial) = (0, 0);
my %serve = (
    P => \&ping, R => \&run, S => \&status, G => \&get, U => \&put, C => \&set_clock,
    D => \&data, Z => \&end, W => \&grant, K => \&cancel,
);

open_port(@ARGV);
$SIG{TERM} = sub { $terminated = 1 };
$SIG{$_} = sub { } for qw(PIPE XFSZ HUP);    # handlers, not IGNORE: exec resets a handler and keeps an ignore
syscall $PRCTL, $PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0;
# As a batch process we are not woken in the middle of an exit, once for each stream that it closes, but after it.
syscall $SCHED_SETSCHEDULER, 0, $SCHED_BATCH | $SCHED_RESET_ON_FORK, my $priority = pack 'i', 0;
umask 022;
hello() if $port;    # a host that had a session with our forerunner learns that it is over
while (1) {
    leave() if $terminated;
    turn();
}

# --- the loop ---------------------------------------------------------------------------------------------------------

sub turn {
    my $wait = timers();
    for my $read (values %get) { pump($read) while $read->{window} > 0 && length $out < $ROOM && $get{ $read->{id} } }
    flush_out() if $here;
    my $room = length $out < $ROOM;
    $wait = 0 if $room && grep { $_->{window} > 0 } values %get;
    my ($r, $w) = ($room ? $readable : '', $writable);
    if ($here) {
        vec($r, fileno $port, 1) = 1 if length $out < $FLOOD;
        vec($w, fileno $port, 1) = 1 if length $out;
    }
    elsif ($listener) { vec($r, fileno $listener, 1) = 1 }
    else { vec($w, fileno $port, 1) = 1 }    # without a host a port always reads as hung up, but is not writable
    my $ready = select $r, $w, undef, $terminated ? 0 : $wait;
    return $ready || reap() if $ready <= 0;
    host_is_back($r, $w) if !$here;
    read_port() if $here && vec($r, fileno $port, 1);
    for my $ready ([$r, \%reader], [$w, \%writer]) {
        for my $fd (grep { vec $ready->[0], $_, 1 } keys %{ $ready->[1] }) {
            my ($function, @arguments) = @{ $ready->[1]{$fd} or next };
            $function->(@arguments);
        }
    }
}

# Does what is due and returns the seconds until the next thing is.
sub timers {
    my $wait = $IDLE;
    return $wait if !%by_pid && !%request;
    my $now = now();
    for my $command (grep { $_->{pid} } values %request) {
        my $ended = defined $command->{status};
        if ($ended && $now >= $command->{linger}) { finish($command); next }
        my $due = $ended ? $command->{linger} : $command->{why} ? 0 : $command->{deadline};
        stop_command($command, 1) if !$ended && $due && $now >= $due;
        my $left = $command->{pidfd} < 0 ? 0.05 : $due && $due > $now ? $due - $now : $IDLE;
        $wait = $left if $left < $wait;
    }
    return $wait > 0 ? $wait : 0;
}

sub watch {
    my ($table, $bits, $fd, @what) = @_;
    $table->{$fd} = \@what;
    vec($$bits, $fd, 1) = 1;
}

sub forget {
    my ($table, $bits, $fd) = @_;
    delete $table->{$fd};
    vec($$bits, $fd, 1) = 0;
}

# --- the host ---------------------------------------------------------------------------------------------------------

sub open_port {
    my $daemon = @_ && $_[0] eq '--daemon' && shift;
    my ($way, $fd) = @_;
    if (@_ == 2 && $way eq '--accept') { open $listener, '+<&=', $fd or die "guest_server: descriptor $fd: $!\n" }
    elsif (@_ == 1) { sysopen $port, $way, $O_RDWR | $O_NONBLOCK or die "guest_server: $way: $!\n" }
    else { die "usage: guest_server.pl [--daemon] PORT | --accept FD\n" }
    fcntl $_, $F_SETFD, 1 for grep { $_ } $listener, $port;
    prepare_port() if $port;
    return if !$daemon;
    if (my $pid = fork) { print "$pid\n"; exit 0 }
    syscall $SETSID;
    chdir '/';
    open STDIN, '<', '/dev/null';
    open STDOUT, '>', '/dev/null';
}

sub prepare_port {
    fcntl $port, $F_SETFL, $O_RDWR | $O_NONBLOCK;
    $here = 1;
}

sub hello { frame('H', 0, pack 'N3', $VERSION, $WINDOW, $$) }

sub frame {
    my ($kind, $id, $payload) = @_;
    $out .= pack('N2a', length $payload, $id, $kind) . $payload;
}

sub fail {
    my ($id, $errno, $text) = @_;
    $text = do { local $! = $errno; "$!" } if !defined $text;
    frame('F', $id, pack('N', $errno) . $text);
}

# A frame with what can be read now, read to where it is sent from: an emulated processor copies slowly.
sub frame_from {
    my ($handle, $kind, $id, $most) = @_;
    my $at = length $out;
    $out .= "\0" x 9;
    my $got = sysread $handle, $out, $most < $PIECE ? $most : $PIECE, $at + 9;
    substr $out, $at, 9, $got ? pack 'N2a', $got, $id, $kind : '';
    return $got;
}

sub flush_out {
    my $at = 0;
    while ($at < length $out) {
        my $sent = syswrite $port, $out, length($out) - $at, $at;
        if (defined $sent) { $at += $sent; next }
        return host_is_gone() if $! != $EAGAIN && $! != $EINTR;
        last;
    }
    substr $out, 0, $at, '' if $at;
}

sub host_is_gone {
    drop_requests();
    ($here, $synced, $in, $out) = (0, 0, '', '');
    # Should a port read end-of-file although it is writable, we come by here again and again: ever more slowly.
    select undef, undef, undef, $delay;
    $delay = $delay ? ($delay < 0.1 ? 2 * $delay : 0.2) : 0.005;
}

sub host_is_back {
    my ($r, $w) = @_;
    if ($listener) { vec $r, fileno $listener, 1 and accept $port, $listener or return; prepare_port() }
    else { $here = vec $w, fileno $port, 1 }
}

sub read_port {
    for (1 .. 64) {
        my $got = sysread $port, $in, $PIECE, length $in;
        if (!$got) {
            return host_is_gone() if defined $got || $! != $EAGAIN && $! != $EINTR;
            last;
        }
        # A host that synchronises sends nothing more until it is answered: its token is the last we have, whatever
        # half of a frame of its forerunner came before.
        if (length $in >= 32 && substr($in, -32, 16) eq $SYNC) { synchronise(substr $in, -16); last }
        if (!$synced) { substr $in, 0, -31, '' if length $in > 31; last }
        last if $got < 4096;    # a virtio port gives at most a page at a time
    }
    return if !$synced || eval { parse(); 1 };
    drop_requests();
    ($in, $out, $synced) = ('', '', 0);
    fail(0, $EINVAL, "protocol: $@");
}

sub synchronise {
    my ($token) = @_;
    drop_requests();
    ($in, $out, $synced, $delay) = ('', $SYNCED . $token, 1, 0);
    hello();
}

sub parse {
    my $at = 0;
    while (length($in) - $at >= 9) {
        my ($length, $id, $kind) = unpack 'N2a', substr $in, $at, 9;
        die "frame of $length bytes\n" if $length > $MAX_FRAME;
        last if length($in) - $at - 9 < $length;
        my $function = $serve{$kind} or die 'unknown kind ' . ord($kind) . "\n";
        die "request $id is already here\n" if $kind =~ /[PRSGUC]/ && $request{$id};
        $function->($id, substr $in, $at + 9, $length);
        $at += 9 + $length;
    }
    substr $in, 0, $at, '';
}

sub drop_requests {
    my @commands = grep { $_->{pid} } values %request;
    kill_trees(@commands) if @commands;
    close_command($_) for @commands;
    abandon($_) for grep { $_->{temporary} } values %request;
    (%request, %get) = ();
}

sub leave {
    frame('Q', 0, '');
    for (1 .. 10) {
        flush_out() if $here;
        last if !$here || !length $out;
        select undef, undef, undef, 0.1;
    }
    drop_requests();
    exit 0;
}

# --- commands ---------------------------------------------------------------------------------------------------------

sub run {
    my ($id, $payload) = @_;
    my ($flags, $timeout, $window, $cwd, $count, @rest) = unpack 'CN2N/a*n(N/a*)*', $payload;
    die "malformed command\n" if !defined $count || !$count || @rest < $count || (@rest - $count) % 2;
    my @argv = splice @rest, 0, $count;
    my $command = { id => $id, window => $window, confirm => $flags & 2, mark => "$$." . ++$serial, stdin => '' };
    my ($stdin, $stdout, $stderr, $fault);
    (pipe($command->{1}, $stdout) && pipe($command->{2}, $stderr) && pipe($command->{fault}, $fault)
        && ($flags & 1 ? pipe($stdin, $command->{0}) : ($stdin = $null))) or return fail($id, $! + 0);
    # All that can be done before the fork is: every page we write to after it is a fault to pay for.
    $request{$id} = $command;
    $command->{deadline} = now() + $timeout / 1000 if $timeout;
    fcntl $command->{0}, $F_SETFL, $O_WRONLY | $O_NONBLOCK if $flags & 1;
    watch(\%reader, \$readable, fileno $command->{$_}, \&forward, $command, $_) for 1, 2;
    watch(\%reader, \$readable, fileno $command->{fault}, \&started, $command) if $flags & 2;
    my $pid = fork;
    become($command->{mark}, [$stdin, $stdout, $stderr], $fault, $cwd, \@rest, @argv) if defined $pid && !$pid;
    if (!$pid) {
        fail($id, $! + 0);
        delete $request{$id};
        return close_command($command);
    }
    $by_pid{ $command->{pid} = $pid } = $command;
    $command->{pidfd} = syscall $PIDFD_OPEN, $pid, 0;
    watch(\%reader, \$readable, $command->{pidfd}, \&reap) if $command->{pidfd} >= 0;
}

# In the child: from here to exec as little as possible. Never returns.
sub become {
    my ($mark, $streams, $fault, $cwd, $env, @argv) = @_;
    $^W = 0;
    syscall $SETSID;
    syscall $DUP3, fileno $streams->[$_], $_, 0 for 0 .. 2;
    if ($cwd eq '' || chdir $cwd) {
        while (my ($name, $value) = splice @$env, 0, 2) { $ENV{$name} = $value }
        $ENV{PYTEST_HYPERV_COMMAND} = $mark;
        { exec { $argv[0] } @argv }
        $cwd = '';
    }
    syswrite $fault, pack('N', $!) . ($cwd eq '' ? "$argv[0]: $!" : "cannot enter $cwd: $!");
    kill 9, $$;
    sleep 1 while 1;
}

# The pipe that would carry a failure of exec is closed by its success, so it can be read once something else was heard
# of the program, too. The host is told of the beginning before anything else.
sub started {
    my ($command) = @_;
    return if defined $command->{failure};
    forget(\%reader, \$readable, fileno $command->{fault});
    sysread $command->{fault}, $command->{failure}, 4096;
    frame('B', $command->{id}, pack 'N', $command->{pid}) if $command->{confirm} && $command->{failure} eq '';
}

sub forward {
    my ($command, $stream) = @_;
    started($command);
    my $got = frame_from($command->{$stream}, $stream, $command->{id}, $command->{window});
    return if !defined $got && ($! == $EINTR || $! == $EAGAIN);
    if (!$got) {
        forget(\%reader, \$readable, fileno $command->{$stream});
        close delete $command->{$stream};
        return finish($command) if defined $command->{status} && !$command->{1} && !$command->{2};
        return;
    }
    pause_streams($command) if ($command->{window} -= $got) <= 0;
}

sub pause_streams {
    my ($command) = @_;
    $command->{$_} and forget(\%reader, \$readable, fileno $command->{$_}) for 1, 2;
}

sub resume_streams {
    my ($command) = @_;
    $command->{$_} and watch(\%reader, \$readable, fileno $command->{$_}, \&forward, $command, $_) for 1, 2;
}

sub feed {
    my ($command) = @_;
    if (length $command->{stdin}) {
        my $took = syswrite $command->{0}, $command->{stdin};
        if (!defined $took) {
            return if $! == $EAGAIN || $! == $EINTR;
            frame('Z', $command->{id}, '');    # it reads no more
            return close_stdin($command);
        }
        substr $command->{stdin}, 0, $took, '';
        frame('W', $command->{id}, pack 'N', $took);
    }
    return if length $command->{stdin};
    return close_stdin($command) if $command->{stdin_ends};
    forget(\%writer, \$writable, fileno $command->{0});
}

sub close_stdin {
    my ($command) = @_;
    my $handle = delete $command->{0} or return;
    forget(\%writer, \$writable, fileno $handle);
    $command->{stdin} = '';
    close $handle;
}

# Zombies of every kind: commands, and orphans that became ours as their subreaper.
sub reap {
    while ((my $pid = waitpid -1, $WNOHANG) > 0) {
        my $command = delete $by_pid{$pid} or next;
        if ($command->{pidfd} >= 0) { forget(\%reader, \$readable, $command->{pidfd}); syscall $CLOSE, $command->{pidfd} }
        $command->{status} = $? & 127 ? 128 + ($? & 127) : $? >> 8;
        $command->{linger} = now() + $LINGER;
        next if ($request{ $command->{id} } || 0) != $command;
        finish($command) if !$command->{1} && !$command->{2};
    }
}

sub finish {
    my ($command) = @_;
    my $wanted = ($command->{why} || 0) != 2;    # the host that had it killed does not wait for the rest
    if ($wanted && $command->{window} <= 0 && ($command->{1} || $command->{2})) {    # output waits for the host
        $command->{linger} = now() + $LINGER;
        return;
    }
    started($command);
    my $failure = $command->{failure};
    if ($failure ne '') { fail($command->{id}, unpack('N', $failure), substr $failure, 4) }
    else { frame('X', $command->{id}, pack 'NC', $command->{status}, $command->{why} || 0) }
    delete $request{ $command->{id} };
    close_command($command);
}

sub close_command {
    my ($command) = @_;
    close_stdin($command);
    if ($command->{fault}) { forget(\%reader, \$readable, fileno $command->{fault}); close delete $command->{fault} }
    # A service left behind in the background writes on into nothing; a closed pipe would kill it.
    for my $handle (grep { $_ } delete @$command{1, 2}) { watch(\%reader, \$readable, fileno $handle, \&drain, $handle) }
}

sub drain {
    my ($handle) = @_;
    my $data;
    return if sysread $handle, $data, $PIECE;
    forget(\%reader, \$readable, fileno $handle);
    close $handle;
}

# $why goes to the host with the exit: 1 the deadline, 2 the host's wish.
sub stop_command {
    my ($command, $why) = @_;
    $command->{why} ||= $why;
    close_stdin($command);
    kill_trees($command);
}

# Stopped before killed: a parent that dies hands its children to us, and their descent is lost.
sub kill_trees {
    my %stopped;
    while (my @new = grep { !$stopped{$_}++ } family(@_)) { kill 'STOP', @new }
    kill 'KILL', keys %stopped;
}

# The living processes of some commands: descendants, members of their sessions, and orphans that left the session,
# known by the mark in the environment they began with.
sub family {
    my (%root, %session, %mark, %children);
    for my $command (@_) {
        $root{ $command->{pid} } = 1 if !defined $command->{status};
        $session{ $command->{pid} } = $mark{ $command->{mark} } = 1;
    }
    opendir my $proc, '/proc' or return keys %root;
    for my $pid (grep { /^\d+$/ } readdir $proc) {
        my ($state, $parent, $session) = slurp("/proc/$pid/stat") =~ /.*\) (\S) (\d+) \d+ (\d+) /s or next;
        push @{ $children{$parent} }, $pid;
        next if $state eq 'Z' || $pid == $$;
        $root{$pid} = 1 if $session{$session} || $parent == $$
            && slurp("/proc/$pid/environ") =~ /(?:^|\0)PYTEST_HYPERV_COMMAND=([^\0]*)/ && $mark{$1};
    }
    my @next = keys %root;
    while (@next) { @next = grep { !$root{$_}++ } map { @{ $children{$_} || [] } } @next }
    return keys %root;
}

# --- files, clock -----------------------------------------------------------------------------------------------------

sub ping { my ($id) = @_; frame('Y', $id, '') }

sub status {
    my ($id, $path) = @_;
    my (undef, undef, $mode, undef, undef, undef, undef, $size) = lstat $path or return fail($id, $! + 0);
    frame('Y', $id, pack 'NQ>', $mode, $size);
}

sub get {
    my ($id, $payload) = @_;
    my ($window, $path) = unpack 'Na*', $payload;
    sysopen my $file, $path, $O_NONBLOCK or return fail($id, $! + 0);    # which does not wait at a FIFO
    -f $file || -b _ or return fail($id, -d _ ? $EISDIR : $EINVAL);
    $request{$id} = $get{$id} = { id => $id, window => $window, file => $file };
}

sub pump {
    my ($read) = @_;
    my $got = frame_from($read->{file}, 'D', $read->{id}, $read->{window});
    if ($got) { $read->{window} -= $got; return }
    if (defined $got) { frame('Y', $read->{id}, '') }
    else { fail($read->{id}, $! + 0) }
    delete $request{ $read->{id} };
    delete $get{ $read->{id} };
}

sub put {
    my ($id, $payload) = @_;
    my ($mode, $path) = unpack 'Na*', $payload;
    my ($folder, $name) = $path =~ m{^(.*/)?([^/]*)$}s;
    return fail($id, $EISDIR) if $name eq '' || -d $path;
    $folder = '' if !defined $folder;
    my $write = { id => $id, mode => $mode, path => $path, temporary => "$folder.pytest-hyperv.$$.$id", made => [] };
    my $above = '';
    for my $step (split m{(?<=/)}, $folder) {
        $above .= $step;
        push @{ $write->{made} }, $above if !-d $above && mkdir $above;
    }
    sysopen $write->{file}, $write->{temporary}, $O_WRONLY | $O_CREAT | $O_EXCL, 0600 or return fail($id, abandon($write));
    $request{$id} = $write;
}

sub data {
    my ($id, $data) = @_;
    my $request = $request{$id} or return;    # it ended while this was on its way
    if ($request->{pid}) {
        return if !$request->{0};
        watch(\%writer, \$writable, fileno $request->{0}, \&feed, $request) if !length $request->{stdin};
        $request->{stdin} .= $data;
        die "more than the window\n" if length $request->{stdin} > $WINDOW;
        return feed($request);
    }
    die "data for a request that takes none\n" if !$request->{temporary};
    for (my $at = 0; $at < length $data;) {
        my $wrote = syswrite $request->{file}, $data, length($data) - $at, $at;
        return lose_file($request) if !$wrote;
        $at += $wrote;
    }
    frame('W', $id, pack 'N', length $data);
}

sub end {
    my ($id) = @_;
    my $request = $request{$id} or return;
    if ($request->{pid}) {
        $request->{stdin_ends} = 1;
        return if !$request->{0};
        return feed($request);
    }
    die "end of a request that takes no data\n" if !$request->{temporary};
    close $request->{file} && chmod($request->{mode} & 07777, $request->{temporary})
        && rename $request->{temporary}, $request->{path} or return lose_file($request);
    delete $request{$id};
    frame('Y', $id, '');
}

sub lose_file {
    my ($write) = @_;
    my $errno = abandon($write);
    delete $request{ $write->{id} };
    fail($write->{id}, $errno);
}

# Leaves nothing of an unfinished file behind and returns the error that led here.
sub abandon {
    my ($write) = @_;
    my $errno = $! + 0 || $EIO;
    close $write->{file} if defined fileno $write->{file};
    unlink $write->{temporary};
    rmdir $_ for reverse @{ $write->{made} };
    return $errno;
}

sub grant {
    my ($id, $payload) = @_;
    my $request = $request{$id} or return;
    my $more = unpack('N', $payload) || 0;
    my $was = $request->{window} || 0;
    $request->{window} = $was + $more;
    resume_streams($request) if $request->{pid} && $was <= 0 && $more;
}

sub cancel {
    my ($id) = @_;
    my $request = $request{$id} or return;
    return stop_command($request, 2) if $request->{pid};
    $! = $ECANCELED;
    abandon($request) if $request->{temporary};
    delete $request{$id};
    delete $get{$id};
    fail($id, $ECANCELED);
}

sub set_clock {
    my ($id, $payload) = @_;
    my ($seconds, $nanoseconds) = unpack 'q>N', $payload;
    die "malformed time\n" if !defined $nanoseconds;
    my $time = pack 'q2', $seconds, $nanoseconds;
    return fail($id, $! + 0) if syscall($CLOCK_SETTIME, 0, $time) != 0;
    frame('Y', $id, '');
}

# Seconds of the monotonic clock: deadlines outlive a set clock.
sub now {
    my $time = "\0" x 16;
    syscall $CLOCK_GETTIME, $CLOCK_MONOTONIC, $time;
    my ($seconds, $nanoseconds) = unpack 'q2', $time;
    return $seconds + $nanoseconds / 1e9;
}

sub elf_machine { return unpack 'x18v', slurp('/proc/self/exe') }

# The first 64 KiB of a file, or nothing.
sub slurp {
    my ($path) = @_;
    my ($file, $text);
    return sysopen($file, $path, 0) && sysread($file, $text, $PIECE) ? $text : '';
}
