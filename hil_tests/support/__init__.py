"""What the requirement tests share: forked snapshots of a pen, bench actions, traces, and recorded measurements."""
