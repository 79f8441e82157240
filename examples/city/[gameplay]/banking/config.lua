Config = {
    bankName = 'Fleeca',
    -- movements on one month of a business account's statement
    statementRows = 5500,
}
