"""What a release keeps and gives away: metrics, intervals, records, conditions, doubts."""
