Jobs = {
    unemployed = { label = 'Unemployed', wage = 10 },
    police = { label = 'Police', wage = 90 },
    ambulance = { label = 'EMS', wage = 85 },
    mechanic = { label = 'Mechanic', wage = 60 },
    taxi = { label = 'Downtown Cab', wage = 45 },
    trucker = { label = 'Trucker', wage = 55 },
    miner = { label = 'Miner', wage = 50 },
}

JobNames = { 'police', 'ambulance', 'mechanic', 'taxi', 'trucker', 'miner', 'unemployed' }
